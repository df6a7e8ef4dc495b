"""The Buildbot step that ingests what a worker sent: awaited, and without effect the second time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS

from pybots.database.engine import Sessions
from pybots.database.patience import patiently
from pybots.results.outcome import Report
from pybots.results.parse import parse_report
from pybots.results.store import ReceivedRun, ingest
from pybots.runs.status import RunStatus
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, ReportFormat, RunResult


class IngestRun(BuildStep):
    """Parses the report and saves the run, off the reactor's thread."""

    name = "ingest"
    haltOnFailure = True

    def __init__(
        self,
        sessions: Sessions,
        clock: Callable[[], datetime],
        key: str,
        report_format: ReportFormat,
        incoming: Path,
        worker: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sessions = sessions
        self.clock = clock
        self.key = key
        self.report_format = report_format
        self.incoming = incoming
        self.carried_out_by = worker

    async def run(self) -> int:
        """Show the run's status as Buildbot's own colour; the status itself is in the results database."""
        status = await patiently(self._ingest)
        self.descriptionDone = str(status or "ingested before")
        if status in {None, RunStatus.PASSED}:
            return SUCCESS
        return WARNINGS if status is RunStatus.TESTS_FAILED else FAILURE

    def _ingest(self) -> RunStatus | None:
        result = RunResult.model_validate_json((self.incoming / RESULT_FILE).read_bytes())
        received = ReceivedRun(
            result=result,
            report=self._report(result),
            log=(self.incoming / LOG_FILE).read_bytes(),
            worker=self.carried_out_by,
        )
        status = ingest(self.sessions, self.key, received, self.clock())
        shutil.rmtree(self.incoming, ignore_errors=True)
        return status

    def _report(self, result: RunResult) -> Report:
        if not result.report_present:
            return Report()
        with (self.incoming / REPORT_FILE).open("rb") as stream:
            return parse_report(self.report_format, stream)
