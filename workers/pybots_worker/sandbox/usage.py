"""Measures what a program uses of this machine: memory, processes, open files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = os.sysconf("SC_PAGE_SIZE")


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
    memory += _shared_memory_files(pids) + _files_in_memory(pids)
    return Seen(memory, sum(_threads(pid) for pid in pids), max(map(_open_files, pids), default=0))


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


def _files_in_memory(pids: Sequence[int]) -> int:
    """Those that never had a name."""
    known: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    path = f"/proc/{pid}/fd/{entry}"
                    if os.readlink(path).startswith("/memfd:"):  # noqa: PTH115
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
