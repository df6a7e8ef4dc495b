"""The Buildbot step that ingests what a worker sent: awaited, and without effect the second time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet.defer import Deferred, DeferredSemaphore

from pybots.database.engine import Sessions
from pybots.database.patience import patiently
from pybots.results.store_received import ingest_folder
from pybots.runs.status import RunStatus
from pybots_worker.contract import ReportFormat

_AT_ONCE = DeferredSemaphore(2)


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
        # The largest report takes a gigabyte and a minute: however many come together, two are read at a time, and
        # the threads that everything else needs stay free.
        status = await _AT_ONCE.run(self._patiently)
        self.descriptionDone = str(status or "ingested before")
        if status in {None, RunStatus.PASSED}:
            return SUCCESS
        return WARNINGS if status is RunStatus.TESTS_FAILED else FAILURE

    def _patiently(self) -> Deferred[RunStatus | None]:
        return Deferred.fromCoroutine(patiently(self._ingest))

    def _ingest(self) -> RunStatus | None:
        status = ingest_folder(
            self.sessions, self.key, self.report_format, self.incoming, self.carried_out_by, self.clock()
        )
        shutil.rmtree(self.incoming, ignore_errors=True)
        return status
