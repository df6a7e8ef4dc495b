"""Reads what a worker sent from the folder that it was uploaded to, and saves it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pybots.database.engine import Sessions
from pybots.results.outcome import Report
from pybots.results.parse import parse_report
from pybots.results.store import ReceivedRun, ingest
from pybots.runs.status import RunStatus
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, ReportFormat, RunResult


def ingest_folder(
    sessions: Sessions, key: str, report_format: ReportFormat, incoming: Path, worker: str, now: datetime
) -> RunStatus | None:
    """Parse and save what lies in *incoming*; return how the run ended, or None where it was saved before.

    Raises what `store.ingest` raises, and ValueError where the result is none.
    """
    result = RunResult.model_validate_json((incoming / RESULT_FILE).read_bytes())
    report = _report(result, report_format, incoming / REPORT_FILE)
    received = ReceivedRun(result, report, (incoming / LOG_FILE).read_bytes(), worker)
    return ingest(sessions, key, received, now)


def _report(result: RunResult, report_format: ReportFormat, path: Path) -> Report:
    if not result.report_present:
        return Report()
    with path.open("rb") as stream:
        return parse_report(report_format, stream)
