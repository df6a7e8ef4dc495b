"""Buildbot steps that have an interpreter made on a worker and take it into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SKIPPED, SUCCESS
from buildbot.steps.shell import ShellCommand
from buildbot.steps.transfer import FileUpload, StringDownload
from buildbot.steps.worker import RemoveDirectory
from twisted.internet.threads import deferToThread

from pybots.database.engine import Sessions
from pybots.database.patience import patiently
from pybots.interpreters import records
from pybots.interpreters.artifact_store import ArtifactStore, FilesMissing
from pybots.interpreters.records import WantedInterpreter
from pybots.interpreters.store_arrival import Arrival
from pybots_worker.contract import (
    MANIFEST_FILE,
    PACK_FILE,
    RESULT_FILE,
    SPECIFICATION_FILE,
    WANTED_FILE,
    InterpreterResult,
    InterpreterSpecification,
    InterpreterStatus,
)
from pybots_worker.interpreters.manifest import MAXIMUM_MANIFEST_BYTES
from pybots_worker.interpreters.pack import INSTALLED_FOLDER

RESULT_BYTES = 8 << 20
PACK_SECONDS = 1200
# Larger blocks break the connection: 4 MiB raises in the step (docs/decisions/0001).
BLOCK_BYTES = 256 << 10
MAXIMUM_ATTEMPTS = 3
"""The first one, and two after a lost worker."""
WORK_FOLDER = "job"
CACHE_FOLDER = "../../cache"
FINISHED = "finished already"

Clock = Callable[[], datetime]


def upload(source: str, target: Path, maximum_bytes: int) -> FileUpload:
    """Return the step that brings the file *source* of the work folder to *target*, at most so large."""
    return FileUpload(
        workersrc=source,
        masterdest=str(target),
        maxsize=maximum_bytes,
        blocksize=BLOCK_BYTES,
        name=f"upload {source}",
        haltOnFailure=True,
    )


def work(verb: str, specification: str, incoming: Path, maximum_seconds: float) -> list[BuildStep]:
    """Return the steps that hand *specification* to `pybots-worker VERB` and bring its result to *incoming*."""
    result = upload(RESULT_FILE, incoming / RESULT_FILE, RESULT_BYTES)
    return [*hand_over(verb, specification, incoming, maximum_seconds), result]


def hand_over(verb: str, specification: str, incoming: Path, maximum_seconds: float) -> list[BuildStep]:
    """Return the steps that hand *specification* to `pybots-worker VERB`; what it writes stays where it is."""
    incoming.mkdir(parents=True, exist_ok=True)
    return [
        StringDownload(
            specification, workerdest=SPECIFICATION_FILE, name="specification", haltOnFailure=True
        ),
        ShellCommand(
            command=["pybots-worker", verb, ".", "--cache", CACHE_FOLDER],
            name=verb,
            # The worker has limits of its own for every part; this one is for a worker that has gone mad.
            timeout=None,
            maxTime=int(maximum_seconds),
            sigtermTime=30,
            haltOnFailure=True,
            logEnviron=False,
        ),
    ]


class Claim(BuildStep):
    """Takes the work whose key is in the property `of`, or ends the build; subclasses say what the work is."""

    name = "claim"
    haltOnFailure = True
    of = ""

    def __init__(
        self,
        sessions: Sessions,
        incoming: Path,
        clock: Clock,
        under_way: dict[int, str],
        began: datetime,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sessions = sessions
        self.incoming = incoming
        self.clock = clock
        self.under_way = under_way
        self.began = began

    async def run(self) -> int:
        """Add the steps that do the work; end the build where it is done already, or in other hands."""
        key, build = str(self.getProperty(self.of)), self.build.buildid
        worker = str(self.getProperty("workername"))
        claimed: Any = "in another build's hands"
        if key not in self.under_way.values():
            # Before anything is waited for: a second request for the same key may be starting just now.
            self.under_way[build] = key
            claimed = await deferToThread(self.claim, key, worker, build)
        if isinstance(claimed, str):
            self.under_way.pop(build, None)
            self.descriptionDone = claimed
            # Finished already: the runs on an interpreter may still have to be asked for; that step comes next.
            self.build.terminate = claimed != FINISHED
            return SKIPPED
        incoming = self.incoming / f"build-{build}"
        self.build.addStepsAfterCurrentStep(self.steps(claimed, incoming, worker))
        return SUCCESS

    def claim(self, key: str, worker: str, build: int) -> Any:
        """Return what the worker is asked for (blocks), or in a text why there is nothing to do."""
        raise NotImplementedError

    def steps(self, claimed: Any, incoming: Path, worker: str) -> list[BuildStep]:
        """Return the steps that do what was claimed."""
        raise NotImplementedError


class MakeInterpreter(Claim):
    """Claims the interpreter named by the property `interpreter_key`, and adds the steps that make it."""

    of = "interpreter_key"

    def __init__(
        self,
        *claim: Any,
        store: ArtifactStore,
        specify: Callable[[WantedInterpreter], InterpreterSpecification | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*claim, **kwargs)
        self.store = store
        self.specify = specify

    def steps(self, claimed: InterpreterSpecification, incoming: Path, worker: str) -> list[BuildStep]:
        """Have it built, and take in what comes back."""
        return [
            *work("build", claimed.model_dump_json(), incoming, 10 * claimed.step_seconds),
            TakeInInterpreter(self.sessions, self.store, incoming, self.clock, claimed.key),
        ]

    def claim(self, key: str, worker: str, build: int) -> InterpreterSpecification | str:
        """Return the specification; a variant that the farm no longer has is cancelled."""
        with self.sessions.writing() as session:
            claimed = records.claim(session, key, worker, build, self.began, self.clock())
            if claimed is None:
                return FINISHED
            specification = self.specify(claimed.wanted)
            if specification is None:
                detail = f"the farm has no variant {claimed.wanted.track.variant!r} any more"
                records.finish_without_result(session, key, records.CANCELLED, detail, self.clock())
                return detail
            if claimed.attempts > MAXIMUM_ATTEMPTS:
                detail = f"given up after {MAXIMUM_ATTEMPTS} attempts that no worker finished"
                records.finish_without_result(session, key, records.LOST, detail, self.clock())
                return detail
            return specification


class TakeInInterpreter(BuildStep):
    """Reads a worker's result; has a proven artifact brought into the store, and saves how it ended."""

    name = "take in"
    haltOnFailure = True

    def __init__(
        self, sessions: Sessions, store: ArtifactStore, incoming: Path, clock: Clock, key: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sessions = sessions
        self.store = store
        self.incoming = incoming
        self.clock = clock
        self.key = key

    async def run(self) -> int:
        """Save a failure at once; have a proven artifact uploaded first."""
        result = await deferToThread(self._read)
        if result.status is InterpreterStatus.PROVEN and result.artifact is not None:
            arrival = Arrival(self.sessions, self.store, self.incoming, self.clock, result, result.artifact)
            manifest = upload(MANIFEST_FILE, self.incoming / MANIFEST_FILE, MAXIMUM_MANIFEST_BYTES)
            self.build.addStepsAfterCurrentStep([manifest, AskForFiles(arrival), forget()])
            return SUCCESS
        await patiently(self._save, result)
        self.descriptionDone = f"{result.status}: {result.detail}"
        return FAILURE

    def _read(self) -> InterpreterResult:
        result = InterpreterResult.model_validate_json((self.incoming / RESULT_FILE).read_bytes())
        if result.key != self.key:
            msg = f"the worker was asked for {self.key} and answered for {result.key}"
            raise ValueError(msg)
        return result

    def _save(self, result: InterpreterResult) -> None:
        with self.sessions.writing() as session:
            records.finish(session, result, self.clock())
        shutil.rmtree(self.incoming, ignore_errors=True)


class AskForFiles(BuildStep):
    """Compares a manifest with the store, and has the worker pack what is lacking; where nothing is, saves."""

    name = "compare"
    haltOnFailure = True

    def __init__(self, arrival: Arrival, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arrival = arrival

    async def run(self) -> int:
        """Add the steps that bring what is lacking."""
        arrival = self.arrival
        lacking, packed_bytes = await deferToThread(arrival.lacking)
        self.descriptionDone = f"{len(lacking)} files are lacking"
        if not lacking:
            self.build.addStepsAfterCurrentStep([SaveInterpreter(arrival)])
            return SUCCESS
        self.build.addStepsAfterCurrentStep(
            [
                StringDownload("\n".join(lacking), workerdest=WANTED_FILE, name="wanted", haltOnFailure=True),
                ShellCommand(
                    command=["pybots-worker", "pack", ".", "--cache", CACHE_FOLDER],
                    name="pack",
                    timeout=None,
                    maxTime=PACK_SECONDS,
                    sigtermTime=30,
                    haltOnFailure=True,
                    logEnviron=False,
                ),
                upload(PACK_FILE, arrival.incoming / PACK_FILE, packed_bytes),
                SaveInterpreter(arrival, with_pack=True),
            ]
        )
        return SUCCESS


class SaveInterpreter(BuildStep):
    """Takes an uploaded pack into the store, and saves the interpreter as proven."""

    name = "store"
    haltOnFailure = True

    def __init__(self, arrival: Arrival, *, with_pack: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arrival = arrival
        self.with_pack = with_pack

    async def run(self) -> int:
        """Store and save; ask again where a file was removed since we asked, or the worker left one out."""
        if self.with_pack:
            await deferToThread(self.arrival.take_in)
        try:
            await patiently(self.arrival.save)
        except FilesMissing as error:
            self.arrival.asked += 1
            if self.arrival.asked >= MAXIMUM_ATTEMPTS:
                raise
            self.descriptionDone = str(error)
            self.build.addStepsAfterCurrentStep([AskForFiles(self.arrival)])
        return SUCCESS


def forget() -> RemoveDirectory:
    """Return the step with which the worker lets go of the tree that it kept for us."""
    # What a build leaves there because it was stopped before this step, the next job removes.
    return RemoveDirectory(
        dir=f"{WORK_FOLDER}/{INSTALLED_FOLDER}",
        name="forget",
        alwaysRun=True,
        haltOnFailure=False,
        flunkOnFailure=False,
        warnOnFailure=True,
    )
