"""Reads files that a project could have put there: never through a link, never a pipe, never more than asked for."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
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


def walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield folders with the names in them, sorted, however deep they are: os.walk recurses before Python 3.12.

    As there, who is told may shorten the list of folders to go into, and links are not followed. Raises OSError.
    """
    waiting = [str(top)]
    while waiting:
        here = waiting.pop()
        folders: list[str] = []
        files: list[str] = []
        links: set[str] = set()
        with os.scandir(here) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else files).append(entry.name)
                if entry.is_symlink():
                    links.add(entry.name)
        folders.sort()
        files.sort()
        yield here, folders, files
        waiting += [os.path.join(here, name) for name in reversed(folders) if name not in links]  # noqa: PTH118


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        return entry.is_dir()
    return False
