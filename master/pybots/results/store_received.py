"""Reads what a worker sent from the folder that it was uploaded to, and saves it."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pybots.database.engine import Sessions
from pybots.results.outcome import Report
from pybots.results.parse import parse_report
from pybots.results.report_digest import report_digest, without_varying
from pybots.results.store import ingest
from pybots.results.store_changed import ingest_changed
from pybots.results.store_repeated import ingest_repeated
from pybots.results.store_run import ReceivedRun
from pybots.runs.status import RunStatus
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, ReportFormat, RunResult

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""A report of thousands of tests is that many objects without a cycle: to look for one after every 700, as CPython
does by itself, takes a third of the time."""
DIGESTED_BYTES = 64_000_000
"""A larger report is read whatever it says, a part at a time."""


def ingest_folder(
    sessions: Sessions, key: str, report_format: ReportFormat, incoming: Path, worker: str, now: datetime
) -> RunStatus | None:
    """Parse and save what lies in *incoming*; return how the run ended, or None where it was saved before.

    Raises what `store.ingest` raises, and ValueError where the result is none.
    """
    _collect_seldom()
    result = RunResult.model_validate_json((incoming / RESULT_FILE).read_bytes())
    report = incoming / REPORT_FILE if result.report_present else None
    content = _content(report)
    lasting = without_varying(report_format, content)
    log = (incoming / LOG_FILE).read_bytes()
    received = ReceivedRun(result, Report(), log, worker, lasting, report_digest(lasting))
    saved = ingest_repeated(sessions, key, received, now)
    if not saved.saved:
        saved = ingest_changed(sessions, key, received, content, now)
    if saved.saved:
        return saved.status
    return ingest(sessions, key, replace(received, report=_report(report_format, report)), now)


def _collect_seldom() -> None:
    # For good: two reports may be read at the same time, and what they leave is collected a little later.
    often, *others = gc.get_threshold()
    if 0 < often < OBJECTS_BETWEEN_COLLECTIONS:
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *others)


def _content(path: Path | None) -> bytes:
    if path is None or path.stat().st_size > DIGESTED_BYTES:
        return b""
    return path.read_bytes()


def _report(report_format: ReportFormat, path: Path | None) -> Report:
    if path is None:
        return Report()
    with path.open("rb") as stream:
        return parse_report(report_format, stream)
