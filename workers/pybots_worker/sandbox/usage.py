"""Measures what a program uses of this machine: memory, processes, open files, disk."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
LEAST_BYTES = 1024
"""What an empty file or a folder counts: there are only so many of them on a disk."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What all processes of a program used at one moment."""

    memory_bytes: int
    processes: int
    """Threads are counted, as the kernel does."""
    most_open_files: int


def look_at(pids: Sequence[int], enough_memory: int) -> Seen:
    """Look at processes; what is shared between them is only told apart where their sum is above *enough_memory*."""
    memory = sum(_resident(pid) for pid in pids)
    if memory > enough_memory:
        memory = sum(_proportional(pid) for pid in pids)
    memory += _shared_memory_files(pids) + _unlinked(pids, in_memory=True)
    return Seen(memory, sum(_threads(pid) for pid in pids), max(map(_open_files, pids), default=0))


def bytes_below(folders: Iterable[Path]) -> int:
    """Return the disk space that everything in these folders takes; what disappears meanwhile does not count."""
    known: set[tuple[int, int]] = set()
    return sum(_bytes_below(str(folder), known) for folder in folders)


def unlinked_bytes(pids: Sequence[int]) -> int:
    """Return the disk space of files that these processes have open and that have no name any more."""
    return _unlinked(pids, in_memory=False)


def _bytes_below(folder: str, known: set[tuple[int, int]]) -> int:
    total, waiting = 0, [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        if (found.st_dev, found.st_ino) in known:
                            continue
                        known.add((found.st_dev, found.st_ino))
                    total += max(found.st_blocks * 512, LEAST_BYTES)
    return total


def _resident(pid: int) -> int:
    return _field(f"/proc/{pid}/statm", 1) * PAGE


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration, ValueError):
        return _resident(pid)


def _shared_memory_files(pids: Sequence[int]) -> int:
    """What lies in the sandbox's /dev/shm, mapped or not."""
    for pid in reversed(pids):
        with contextlib.suppress(OSError):
            place = f"/proc/{pid}/root/dev/shm"
            if os.stat(place).st_dev != os.stat("/dev/shm").st_dev:  # noqa: PTH116, S108
                found = os.statvfs(place)
                return (found.f_blocks - found.f_bfree) * found.f_frsize
    return 0


def _unlinked(pids: Sequence[int], *, in_memory: bool) -> int:
    known: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    path = f"/proc/{pid}/fd/{entry}"
                    target = os.readlink(path)  # noqa: PTH115
                    if target.endswith(" (deleted)") and target.startswith("/memfd:") == in_memory:
                        found = os.stat(path)  # noqa: PTH116
                        known[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(known.values())


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except OSError:
        return 0


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    except OSError:
        return 0


def _field(file: str, number: int) -> int:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123
            return int(opened.read().split()[number])
    except (OSError, IndexError, ValueError):
        return 0
