"""Writes what a run leaves for the master: whole files, also where the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.place import WRITABLE, Place
from pybots_worker.runs.sound import FULL


def leave(place: Place, name: str, content: bytes) -> None:
    """Write a file into the run's folder; where there is no room, what the run needed makes it. Raises OSError."""
    path = place.folder / name
    try:
        _write(path, content)
    except OSError as error:
        if error.errno not in FULL:
            raise
        for folder in (*WRITABLE, place.ours.name):
            remove_tree(place.folder / folder)
        _write(path, content)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
