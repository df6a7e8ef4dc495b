"""Reads what a worker sent from the folder that it was uploaded to, and saves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pybots.database.engine import Sessions
from pybots.results.outcome import Report
from pybots.results.parse import parse_report
from pybots.results.report_digest import report_digest
from pybots.results.store import ingest
from pybots.results.store_repeated import ingest_repeated
from pybots.results.store_run import ReceivedRun
from pybots.runs.status import RunStatus
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, ReportFormat, RunResult

DIGESTED_BYTES = 64_000_000
"""A larger report is read whatever it says, a part at a time."""


def ingest_folder(
    sessions: Sessions, key: str, report_format: ReportFormat, incoming: Path, worker: str, now: datetime
) -> RunStatus | None:
    """Parse and save what lies in *incoming*; return how the run ended, or None where it was saved before.

    Raises what `store.ingest` raises, and ValueError where the result is none.
    """
    result = RunResult.model_validate_json((incoming / RESULT_FILE).read_bytes())
    report = incoming / REPORT_FILE if result.report_present else None
    log = (incoming / LOG_FILE).read_bytes()
    received = ReceivedRun(result, Report(), log, worker, _digest(report_format, report))
    repeated = ingest_repeated(sessions, key, received, now)
    if repeated.saved:
        return repeated.status
    return ingest(sessions, key, replace(received, report=_report(report_format, report)), now)


def _digest(report_format: ReportFormat, path: Path | None) -> str:
    if path is None or path.stat().st_size > DIGESTED_BYTES:
        return ""
    return report_digest(report_format, path.read_bytes())


def _report(report_format: ReportFormat, path: Path | None) -> Report:
    if path is None:
        return Report()
    with path.open("rb") as stream:
        return parse_report(report_format, stream)
