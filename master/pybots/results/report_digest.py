"""Decides when two reports are the same but for what differs from run to run: durations, dates, the machine's name."""

from __future__ import annotations

import hashlib
import re

from pybots_worker.contract import ReportFormat

_VARYING = {
    ReportFormat.JUNIT: re.compile(rb' (?:time(?:stamp)?|hostname)="[^"<>]*"'),
    ReportFormat.UNITTEST: re.compile(rb'"seconds": ?[0-9.eE+-]+'),
    ReportFormat.DJANGO: re.compile(rb'"seconds": ?[0-9.eE+-]+'),
}


def without_varying(format: ReportFormat, content: bytes) -> bytes:  # noqa: A002
    """Return *content* without what differs from run to run; empty for subunit, whose times are in binary."""
    varying = _VARYING.get(format)
    return b"" if varying is None else varying.sub(b"", content)


def report_digest(lasting: bytes) -> str:
    """Return 64 hexadecimal digits: the same for two reports only if they name the same tests with the same outcomes.

    *lasting* is what `without_varying` leaves; empty where that is. Two that say the same may well differ (in an
    address in a traceback, in their order): then they are read.
    """
    return hashlib.sha256(lasting).hexdigest() if lasting else ""
