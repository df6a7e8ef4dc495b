"""Reads files that a project could have put there: never through a link, never a pipe, never more than asked for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_plain(folder: Path, name: str, most_bytes: int) -> bytes:
    """Read `folder/name`; neither of the two may be a link. Raises OSError, also where the file is longer."""
    with os.fdopen(open_plain(folder, name), "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {most_bytes} bytes", name)
    return content


def open_plain(folder: Path, name: str) -> int:
    """Open a regular file for reading and return its descriptor. Raises OSError."""
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        opened = os.open(name, flags, dir_fd=above)
    finally:
        os.close(above)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no regular file", name)
    return opened
