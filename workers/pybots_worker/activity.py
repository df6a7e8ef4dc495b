"""Measures whether a program is at work, and whether the machine's memory ran out meanwhile."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import psutil

IDLE_SHARE = 0.005
"""A hung program whose threads wake up now and then uses some CPU; below this share of one it is quiet."""
VMSTAT = Path("/proc/vmstat")


@dataclass(slots=True)
class Activity:
    """CPU seconds used since the program last did something worth the name."""

    marked: float
    used: float = 0.0
    seen: dict[psutil.Process, float] = field(default_factory=dict)

    def sample(self, processes: list[psutil.Process], now: float) -> None:
        """Add what these used since the last sample."""
        for process in processes:
            with contextlib.suppress(psutil.Error):
                seconds = sum(process.cpu_times()[:4])  # user, system, and those of children it has reaped
                self.used += max(0.0, seconds - self.seen.get(process, 0.0))
                self.seen[process] = seconds
        if self.used >= max(0.02, IDLE_SHARE * (now - self.marked)):
            self.mark(now)
        alive = set(processes)
        self.seen = {process: seconds for process, seconds in self.seen.items() if process in alive}

    def mark(self, now: float) -> None:
        """Something happened."""
        self.marked, self.used = now, 0.0


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in VMSTAT.read_text().splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0
