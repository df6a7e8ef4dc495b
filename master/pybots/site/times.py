"""Decides how times and durations read in words."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((60, 1, "second"), (3600, 60, "minute"), (2 * 86400, 3600, "hour"), (60 * 86400, 86400, "day"))


def ago(then: datetime, now: datetime) -> str:
    """Return how long before *now* (or after it) *then* is: `4 minutes ago`, `just now`, `in 3 hours`."""
    seconds = (now - then).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    words = span(abs(seconds))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def span(seconds: float) -> str:
    """Return a length of time in one unit, rounded down: `4 minutes`."""
    for below, unit, name in _STEPS:
        if seconds < below:
            return _counted(int(seconds // unit), name)
    return _counted(int(seconds // (30 * 86400)), "month")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def duration(seconds: float) -> str:
    """Return seconds as one reads a stopwatch: `0.4 s`, `38 s`, `4 min 12 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def exact(then: datetime) -> str:
    """Return the moment in UTC, to the second: `2026-11-22 14:05:09 UTC`."""
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def machine(then: datetime) -> str:
    """Return the moment for `<time datetime>`: `2026-11-22T14:05:09Z`."""
    return f"{then.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def size(count: int) -> str:
    """Return a number of bytes: `51 kB`, `231 MB`."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
