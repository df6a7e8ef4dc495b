"""Buildbot steps that have a run carried out on a worker, and the trigger that asks for runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SKIPPED, SUCCESS
from buildbot.steps.trigger import Trigger
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from pybots.database.engine import Sessions
from pybots.interpreters.steps import MAXIMUM_ATTEMPTS, Clock, upload, work
from pybots.runs import records
from pybots.runs.records import WantedRun
from pybots.runs.schedule import virtual_builder
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, RunResult, RunSpecification

LOG_BYTES = 64 << 20


def run_properties(run: WantedRun) -> dict[str, Any]:
    """Return the properties of the Buildbot request for *run*; the virtual builder is its project on its track."""
    return {
        "run_key": run.key,
        "virtual_builder_name": virtual_builder(run.project, run.track),
        "virtual_builder_tags": [run.project, run.track.branch, run.track.variant, run.track.platform],
        "reason": f"run {run.key}",
    }


class TriggerRuns(Trigger):
    """Asks the registry which projects run on the interpreter just made; a new recipe needs no reconfiguration."""

    def __init__(self, plan: Callable[[str], list[WantedRun]], **kwargs: Any) -> None:
        super().__init__(waitForFinish=False, alwaysUseLatest=True, **kwargs)
        self.plan = plan

    def getSchedulersAndProperties(self) -> Deferred[list[dict[str, Any]]]:
        """Return one entry a run, all for the one scheduler of this platform."""
        return Deferred.fromCoroutine(self._entries())

    async def _entries(self) -> list[dict[str, Any]]:
        key = str(self.getProperty("interpreter_key"))
        runs: Sequence[WantedRun] = await deferToThread(self.plan, key)
        return [
            {
                "sched_name": self.schedulerNames[0],
                "props_to_set": run_properties(run),
                "unimportant": False,
            }
            for run in runs
        ]


class CarryOutRun(BuildStep):
    """Claims the run named by the property `run_key`, and adds the steps that carry it out."""

    name = "claim"
    haltOnFailure = True

    def __init__(
        self,
        sessions: Sessions,
        incoming: Path,
        clock: Clock,
        under_way: dict[int, str],
        give_up: Callable[[str, str], None],
        ingest: Callable[[RunSpecification, Path, str], BuildStep],
        refresh: Callable[[RunSpecification], RunSpecification],
        began: datetime,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sessions = sessions
        self.incoming = incoming
        self.clock = clock
        self.under_way = under_way
        self.give_up = give_up
        self.ingest = ingest
        self.refresh = refresh
        self.began = began

    async def run(self) -> int:
        """Add the steps, or end the build at once where the run is finished or in another build's hands."""
        key = str(self.getProperty("run_key"))
        worker = str(self.getProperty("workername"))
        claimed: RunSpecification | str = "in another build's hands"
        if key not in self.under_way.values():
            # Before anything is waited for: a second request for the same key may be starting just now.
            self.under_way[self.build.buildid] = key
            claimed = await deferToThread(self._claim, key, worker, self.build.buildid)
        if isinstance(claimed, str):
            self.under_way.pop(self.build.buildid, None)
            self.descriptionDone = claimed
            self.build.terminate = True
            return SKIPPED
        limits = claimed.limits
        incoming = self.incoming / f"build-{self.build.buildid}"
        seconds = limits.wall_seconds + 12 * limits.prepare_seconds
        self.build.addStepsAfterCurrentStep(
            [
                *work("run", claimed.model_dump_json(), incoming, seconds),
                ReceiveRun(incoming, key, limits.report_bytes, self.ingest(claimed, incoming, worker)),
            ]
        )
        return SUCCESS

    def _claim(self, key: str, worker: str, build: int) -> RunSpecification | str:
        with self.sessions.writing() as session:
            claimed = records.claim(session, key, worker, build, self.began, self.clock())
        if claimed is None:
            return "finished already"
        if claimed.attempts > MAXIMUM_ATTEMPTS:
            detail = f"given up after {MAXIMUM_ATTEMPTS} attempts that no worker finished"
            self.give_up(key, detail)
            return detail
        return self.refresh(claimed.specification)


class ReceiveRun(BuildStep):
    """Reads a worker's result, and adds the steps that bring what lies beside it and ingest all of it."""

    name = "receive"
    haltOnFailure = True

    def __init__(self, incoming: Path, key: str, report_bytes: int, ingest: BuildStep, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.incoming = incoming
        self.key = key
        self.report_bytes = report_bytes
        self.ingest = ingest

    async def run(self) -> int:
        """Refuse an answer to another question; ask for the report only where there is one."""
        text = await deferToThread((self.incoming / RESULT_FILE).read_bytes)
        result = RunResult.model_validate_json(text)
        if result.key != self.key:
            msg = f"the worker was asked for {self.key} and answered for {result.key}"
            raise ValueError(msg)
        steps: list[BuildStep] = []
        if result.report_present:
            steps.append(upload(REPORT_FILE, self.incoming / REPORT_FILE, self.report_bytes))
        steps.append(upload(LOG_FILE, self.incoming / LOG_FILE, LOG_BYTES))
        self.build.addStepsAfterCurrentStep([*steps, self.ingest])
        return SUCCESS
