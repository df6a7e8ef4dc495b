"""Reads a report of any format, and never more than the limits."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.jsonlines import read_json_lines
from pybots.results.junit import read_junit
from pybots.results.limits import ReportLimits
from pybots.results.lines import BoundedStream
from pybots.results.outcome import Report
from pybots.results.subunit_v1 import read_subunit_v1
from pybots.results.subunit_v2 import is_version_2, read_subunit_v2
from pybots_worker.contract import ReportFormat

_LOOKED_AT = 4_096


def parse_report(format: ReportFormat, stream: BinaryIO, limits: ReportLimits | None = None) -> Report:  # noqa: A002
    """Return what *stream*, a report in *format*, says.

    Nothing in it raises: `Report.problem` says what is wrong, and what was read before that is kept.
    """
    limits = limits or ReportLimits()
    gathered = Gathering(limits)
    bounded = cast("BinaryIO", io.BufferedReader(BoundedStream(stream, limits.read_bytes)))
    try:
        _read(format, bounded, gathered)
    except LimitReachedError as error:
        gathered.problem(str(error))
    except Exception as error:  # noqa: BLE001  (a stranger's report must not stop the master's work)
        gathered.problem(f"the report cannot be read: {error!r}")
    return gathered.report()


def _read(format: ReportFormat, stream: BinaryIO, gathered: Gathering) -> None:  # noqa: A002
    match format:
        case ReportFormat.JUNIT:
            read_junit(stream, gathered)
        case ReportFormat.SUBUNIT:
            read_subunit(stream, gathered)
        case ReportFormat.UNITTEST | ReportFormat.DJANGO:
            read_json_lines(stream, gathered)


def read_subunit(stream: BinaryIO, gathered: Gathering) -> None:
    """Read either version of subunit, told apart by its first bytes."""
    peeked = cast("io.BufferedReader", stream).peek(_LOOKED_AT)
    if is_version_2(peeked[:_LOOKED_AT]):
        read_subunit_v2(stream, gathered)
    else:
        read_subunit_v1(stream, gathered)
