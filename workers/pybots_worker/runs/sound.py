"""Measures whether this machine was sound while a run was carried out: its clock, its disk, its load."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from pybots_worker.contract import Ending
from pybots_worker.runs.phases import one_line

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FREE_BYTES_DURING = 50_000_000
"""With less than this, tests fail for want of room, and say nothing about Python."""
CLOCK_SECONDS = 5.0
"""A clock that is kept right is moved by less in the time that a run takes."""


def machine_load() -> list[float]:
    """The last minute's load average, alone in a list; an empty one where the system does not tell."""
    try:
        return [round(max(os.getloadavg()[0], 0.0), 2)]
    except OSError:
        return []


class ClockWatch:
    """Compares the clock that says the time with the one that only goes on."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._wall_before, self._steady_before = wall(), steady()

    @property
    def jumped(self) -> float:
        """By how many seconds the clock is now ahead of where it should be."""
        return (self._wall() - self._wall_before) - (self._steady() - self._steady_before)


def unless_clock_jumped(clock: ClockWatch, ending: Ending, detail: str) -> tuple[Ending, str]:
    """Return the ending, or that this machine is unfit: certificates, time limits and tests depend on its clock."""
    jumped = clock.jumped
    if abs(jumped) <= CLOCK_SECONDS:
        return ending, detail
    way = "forward" if jumped > 0 else "back"
    ended = f"{ending}: {detail}" if detail else f"{ending}"
    return Ending.UNFIT, one_line(f"the clock went {way} by {abs(jumped):.0f} s during the run ({ended})")
