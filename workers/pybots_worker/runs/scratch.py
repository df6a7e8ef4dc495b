"""Makes the folder for temporary files of a run, under a short name, and removes it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pybots_worker.interpreters.folders import remove_tree

PREFIX = "pb-"
LINK = "tmp"
"""The link to it in the run's folder: what an earlier run left is found by it."""
LONGEST = 40
"""A socket's path holds 107 bytes, of which multiprocessing's own names take 32."""


def make_scratch(folder: Path) -> Path:
    """Make a run's temporary folder, for us alone, and a link to it in the run's own folder."""
    scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place_for_scratch()))
    (folder / LINK).symlink_to(scratch)
    return scratch


def scratch_of(folder: Path) -> Path:
    """Return the temporary folder of the run in this folder. Raises OSError where none was made."""
    return (folder / LINK).readlink()


def remove_scratch(folder: Path) -> None:
    """Remove the temporary folder of the run in this folder; where there is none, or not ours, do nothing."""
    try:
        scratch = scratch_of(folder)
        found = scratch.lstat()
    except OSError:
        return
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    # The project could write to the link: it must not name what else we have.
    if ours and scratch.name.startswith(PREFIX) and scratch.parent == place_for_scratch():
        remove_tree(scratch)


def place_for_scratch() -> Path:
    """The system's folder for temporary files, unless its own name is too long already."""
    found = Path(tempfile.gettempdir())
    return found if len(os.fsencode(found)) <= LONGEST else Path("/tmp")  # noqa: S108
