"""How much of a report is kept; whoever wrote it cannot make it more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """Bounds on one report. Sizes are in characters, but for `read_bytes` and `line_bytes`."""

    read_bytes: int = 200_000_000
    line_bytes: int = 1_000_000
    tests: int = 500_000
    name: int = 1_000
    message: int = 4_000
    traceback: int = 20_000
    all_text: int = 64_000_000
    """All messages and tracebacks together; beyond it, failures keep their exception's type only."""
