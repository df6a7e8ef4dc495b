"""Buildbot steps that have a run carried out on a worker, and the trigger that asks for runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.steps.trigger import Trigger
from pydantic import ValidationError
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from pybots.interpreters.steps import (
    FINISHED,
    MAXIMUM_ATTEMPTS,
    RESULT_BYTES,
    Claim,
    Receive,
    hand_over,
)
from pybots.runs import records
from pybots.runs.records import WantedRun
from pybots.runs.schedule import virtual_builder
from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, RunResult, RunSpecification

LOG_BYTES = 16 << 20


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


class CarryOutRun(Claim):
    """Claims the run named by the property `run_key`, and adds the steps that carry it out."""

    of = "run_key"

    def __init__(
        self,
        *claim: Any,
        give_up: Callable[[str, str], None],
        ingest: Callable[[RunSpecification, Path, str], BuildStep],
        refresh: Callable[[RunSpecification], RunSpecification],
        **kwargs: Any,
    ) -> None:
        super().__init__(*claim, **kwargs)
        self.give_up = give_up
        self.ingest = ingest
        self.refresh = refresh

    def steps(self, claimed: RunSpecification, incoming: Path, worker: str) -> list[BuildStep]:
        """Have it carried out, and ingest what comes back."""
        limits = claimed.limits
        seconds = limits.wall_seconds + 12 * limits.prepare_seconds
        ingest = self.ingest(claimed, incoming, worker)
        return [
            *hand_over("run", claimed.model_dump_json(), incoming, seconds),
            ReceiveRun(incoming, claimed.key, limits.report_bytes, ingest),
        ]

    def claim(self, key: str, worker: str, build: int) -> RunSpecification | str:
        """Return the specification, with the addresses that hold now."""
        with self.sessions.writing() as session:
            claimed = records.claim(session, key, worker, build, self.began, self.clock())
        if claimed is None:
            return FINISHED
        if claimed.attempts > MAXIMUM_ATTEMPTS:
            detail = f"given up after {MAXIMUM_ATTEMPTS} attempts that no worker finished"
            self.give_up(key, detail)
            return detail
        return self.refresh(claimed.specification)


def read_result(content: bytes, key: str) -> RunResult:
    """Return the result in *content*; raises ValueError, in one line, where it is none or another run's."""
    try:
        result = RunResult.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"the worker's result cannot be read: {where + ': ' if where else ''}{first['msg']}"
        raise ValueError(msg[:300]) from error
    if result.key != key:
        msg = f"the worker was asked for {key} and answered for {result.key}"
        raise ValueError(msg[:300])
    return result


class ReceiveRun(Receive):
    """Brings a worker's result and what lies beside it, and adds the step that ingests all of it."""

    def __init__(self, incoming: Path, key: str, report_bytes: int, ingest: BuildStep, **kwargs: Any) -> None:
        super().__init__(incoming, **kwargs)
        self.key = key
        self.report_bytes = report_bytes
        self.ingest = ingest

    async def run(self) -> int:
        """Refuse an answer to another question; ask for the report only where there is one."""
        if not await self.brought(RESULT_FILE, RESULT_BYTES):
            return FAILURE
        text = await deferToThread((self.incoming / RESULT_FILE).read_bytes)
        try:
            result = read_result(text, self.key)
        except ValueError as error:
            # It becomes the run's detail, should no other worker do better.
            self.descriptionDone = str(error)
            return FAILURE
        if result.report_present and not await self.brought(REPORT_FILE, self.report_bytes):
            return FAILURE
        if not await self.brought(LOG_FILE, LOG_BYTES):
            return FAILURE
        self.build.addStepsAfterCurrentStep([self.ingest])
        return SUCCESS
