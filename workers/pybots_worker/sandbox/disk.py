"""Measures what lies in folders that a stranger fills: however deep, however long the paths, and what it hides."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEAST_BYTES = 1024
"""What an empty file or a folder counts: there are only so many of them on a disk."""
MOST_OPEN = 200
"""Folders that are open at one time: one for each level that still has others to look at."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TO_LOOK = stat.S_IRUSR | stat.S_IXUSR


@dataclass(frozen=True, slots=True)
class Taken:
    """Disk space, as far as it could be looked at."""

    total: int
    hidden: bool = False
    """Whether there is more, that could not be looked at."""

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.total + other.total, self.hidden or other.hidden)


def taken_below(folders: Iterable[str], *, enough: int, dead: bool = False) -> Taken:
    """Return the disk space of everything in these folders; what disappears meanwhile does not count.

    Beyond *enough* nothing more is looked at. With *dead*, nobody works in them any more: then folders that their owner
    may not read are made readable. A suite that is alive may want them to be as they are.
    """
    walk = _Walk(enough, _open_forbidden if dead else _open)
    for folder in folders:
        walk.look(folder)
    return Taken(walk.total, walk.hidden)


class _Walk:
    """Through folders by descriptors: a path is never longer than one name, and links are never followed."""

    def __init__(self, enough: int, opener: Callable[[str, int | None], int]) -> None:
        self.total = 0
        self.hidden = False
        self._enough = enough
        self._open = opener
        self._known: set[tuple[int, int]] = set()

    def look(self, folder: str) -> None:
        stack: list[tuple[int, list[str]]] = []
        try:
            self._enter(folder, None, stack)
            while stack and self.total <= self._enough:
                above, names = stack[-1]
                name = names.pop()
                if not names:  # so a chain of folders, however long, needs two descriptors
                    stack.pop()
                try:
                    self._enter(name, above, stack)
                finally:
                    if not names:
                        os.close(above)
        finally:
            for above, _ in stack:
                os.close(above)

    def _enter(self, name: str, above: int | None, stack: list[tuple[int, list[str]]]) -> None:
        """Count what is in one folder, and put it on the stack where there are folders in it."""
        if len(stack) >= MOST_OPEN:
            self.hidden = True
            return
        try:
            opened = self._open(name, above)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            self.hidden = True
            return
        below: list[str] = []
        try:
            below = self._count(opened)
        finally:
            if below:
                stack.append((opened, below))
            else:
                os.close(opened)

    def _count(self, folder: int) -> list[str]:
        below: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            below.append(entry.name)
                        self._add(found)
                    if self.total > self._enough:
                        break
        except OSError:
            self.hidden = True
        return below

    def _add(self, found: os.stat_result) -> None:
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self._known:
                return
            self._known.add((found.st_dev, found.st_ino))
        self.total += max(found.st_blocks * 512, LEAST_BYTES)


def _open(name: str, above: int | None) -> int:
    return os.open(name, _FOLDER, dir_fd=above)


def _open_forbidden(name: str, above: int | None) -> int:
    """Open a folder even where its owner, who is us, took the permission away."""
    looked = os.open(name, _LOOK, dir_fd=above)
    try:
        same, mode = f"/proc/self/fd/{looked}", os.fstat(looked).st_mode
        if mode & _TO_LOOK != _TO_LOOK:
            os.chmod(same, stat.S_IMODE(mode) | stat.S_IRWXU)  # noqa: PTH101
        return os.open(same, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(looked)
