"""Stands beside a running program and says which of its limits it met."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pybots_worker.contract import Limits
from pybots_worker.sandbox.disk import Taken, taken_below
from pybots_worker.sandbox.groups import Group, Reading
from pybots_worker.sandbox.held import unlinked_on_disk
from pybots_worker.sandbox.limits import Met, Usage, limit_met
from pybots_worker.sandbox.usage import look_at

MEMORY_SECONDS = 0.25
"""Where the kernel does not bound it, a program takes about a gigabyte in this time."""
GROUP_SECONDS = 1.0
DISK_SECONDS = 2.0
DISK_SHARE = 10
"""Between two looks at the disk passes ten times as long as a look takes."""
SUDDEN_SHARE = 8
"""When so much of the limit (an eighth) went from the disk since the last look, it is time for another."""


class Meter:
    """The usage of one program, measured often enough to stop it in time, and no more often."""

    def __init__(
        self,
        limits: Limits,
        folders: Sequence[Path],
        group: Group | None,
        processes: Callable[[], Sequence[int]],
        *,
        processes_bounded: bool,
        segments: Callable[[], int] = lambda: 0,
    ) -> None:
        """*segments*: what shared memory without a file takes, in bytes."""
        self._segments = segments
        self._limits = limits
        self._folders = folders
        self._group = group
        self._controllers = group.controllers if group else set()
        self._processes = processes
        self._processes_bounded = processes_bounded or "pids" in self._controllers
        self._memory = self._count = self._files = 0
        self._disk = Taken(0)
        self._next_look = self._next_disk = time.monotonic()
        self._disk_seconds = 0.0
        self._free = self._free_before = self._free_now()

    def met(self, printed_bytes: int) -> Met | None:
        """Measure what is due, and return the limit that was met, if any."""
        now = time.monotonic()
        reading = self._group.reading() if self._group else Reading()
        if now >= self._next_look:
            self._look()
            self._next_look = now + (GROUP_SECONDS if "memory" in self._controllers else MEMORY_SECONDS)
        if now >= self._next_disk or self._suddenly_less():
            self._measure_disk()
        return limit_met(self._limits, self._usage(reading, printed_bytes))

    def notes(self, printed_bytes: int) -> tuple[Met | None, list[str]]:
        """Measure once more at the end; returns a limit met only now, and what else is to be said."""
        reading = self._group.reading() if self._group else Reading()
        self._measure_disk(dead=True)
        usage = self._usage(reading, printed_bytes)
        return limit_met(self._limits, usage), usage.notes(self._limits)

    @property
    def memory_ran_out(self) -> bool | None:
        """Whether the machine's memory ran out, and not the program's own; None where the kernel does not tell."""
        if "memory" not in self._controllers:
            return None
        assert self._group is not None
        reading = self._group.reading()
        return reading.memory_kills > 0 and reading.memory_refusals == 0

    def _usage(self, reading: Reading, printed_bytes: int) -> Usage:
        return Usage(
            memory_bytes=0 if "memory" in self._controllers else self._memory,
            memory_refused=reading.memory_kills > 0 and reading.memory_refusals > 0,
            disk_bytes=self._disk.total,
            disk_hidden=self._disk.hidden,
            disk_gone_bytes=self._free_before - self._free,
            processes=self._count,
            processes_bounded=self._processes_bounded,
            processes_refused=reading.fork_refusals > 0,
            most_open_files=self._files,
            printed_bytes=printed_bytes,
        )

    def _look(self) -> None:
        pids = self._processes()
        seen = look_at(pids, self._limits.memory_bytes)
        self._memory = seen.memory_bytes + self._segments()
        self._count = max(self._count, seen.processes)
        self._files = max(self._files, seen.most_open_files)

    def _measure_disk(self, *, dead: bool = False) -> None:
        began = time.monotonic()
        self._free = self._free_now()
        taken = taken_below(map(str, self._folders), enough=self._limits.disk_bytes, dead=dead)
        self._disk = taken + unlinked_on_disk(() if dead else self._processes())
        self._disk_seconds = time.monotonic() - began
        self._next_disk = began + max(DISK_SECONDS, DISK_SHARE * self._disk_seconds)

    def _suddenly_less(self) -> bool:
        return self._free - self._free_now() > self._limits.disk_bytes / SUDDEN_SHARE

    def _free_now(self) -> int:
        """What is free on all file systems that it writes to."""
        free = {}
        for folder in self._folders:
            with contextlib.suppress(OSError):
                found = os.statvfs(folder)
                free[os.stat(folder).st_dev] = found.f_bavail * found.f_frsize  # noqa: PTH116
        return sum(free.values())
