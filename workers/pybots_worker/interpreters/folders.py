"""Removes folders, read-only ones too, so that a half-removed one is never taken for a whole one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

REMOVING_PREFIX = ".removing-"
UNPACKING_PREFIX = ".unpacking-"


def remove_tree(path: Path) -> None:
    """Rename a folder aside and delete it; what is not there is no error. Raises OSError."""
    aside = path.with_name(f"{REMOVING_PREFIX}{secrets.token_hex(6)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    _delete(aside)


def finish_removals(folder: Path) -> None:
    """Delete what a killed `remove_tree` left behind in this folder."""
    for aside in folder.glob(f"{REMOVING_PREFIX}*"):
        _delete(aside)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed `remove_tree` or `lay_out` left; only while nobody else works in this folder."""
    finish_removals(folder)
    for beside in folder.glob(f"{UNPACKING_PREFIX}*"):
        remove_tree(beside)


def _delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _folders, _files in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(stat.S_IRWXU)  # else nothing in it can be deleted
    shutil.rmtree(path, onerror=_once_more)


def _once_more(function: Callable[..., Any], path: str, _error: Any) -> None:
    """What vanished meanwhile is deleted too; everything else is raised."""
    with contextlib.suppress(FileNotFoundError):
        function(path)
