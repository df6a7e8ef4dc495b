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


def report_digest(format: ReportFormat, content: bytes) -> str:  # noqa: A002
    """Return 64 hexadecimal digits: the same for two reports only if they name the same tests with the same outcomes.

    Two that say the same may well differ (in an address in a traceback, in their order): then they are read. Empty for
    subunit, whose times are in binary.
    """
    varying = _VARYING.get(format)
    if varying is None:
        return ""
    return hashlib.sha256(varying.sub(b"", content)).hexdigest()
