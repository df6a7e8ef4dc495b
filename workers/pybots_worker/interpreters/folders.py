"""Removes folders, read-only ones too, so that a half-removed one is never taken for a whole one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import subprocess
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
    try:
        _allow_to_delete(path)
        for folder, folders, _files in os.walk(path):
            for name in folders:  # before they are looked into
                _allow_to_delete(Path(folder, name))
        shutil.rmtree(path, onerror=_raise_unless_gone)
    except (RecursionError, OSError):
        _delete_deep(path)


def _allow_to_delete(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(stat.S_IRWXU)


def _delete_deep(path: Path) -> None:
    """Delete what is nested too deeply, or has too long a path, for Python: the system's own programs can."""
    for command in (["chmod", "-R", "u+rwX", "--", str(path)], ["rm", "-rf", "--", str(path)]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if path.exists():
        raise OSError(errno.EIO, f"it cannot be removed: {done.stderr[-200:]}", str(path))


def _raise_unless_gone(_function: Callable[..., Any], _path: str, error: Any) -> None:
    """What vanished meanwhile is deleted too; everything else is raised."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
