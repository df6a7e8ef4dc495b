"""Buildbot steps that have an interpreter made on a worker and take it into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.steps.shell import ShellCommand
from buildbot.steps.transfer import StringDownload
from buildbot.steps.worker import RemoveDirectory
from twisted.internet.threads import deferToThread

from pybots.database.engine import Sessions
from pybots.database.patience import patiently
from pybots.interpreters import records
from pybots.interpreters.artifact_store import ArtifactStore, FilesMissing
from pybots.interpreters.records import WantedInterpreter
from pybots.interpreters.steps import (
    CACHE_FOLDER,
    FINISHED,
    MAXIMUM_ATTEMPTS,
    RESULT_BYTES,
    WORK_FOLDER,
    Claim,
    Clock,
    Receive,
    hand_over,
)
from pybots.interpreters.store_arrival import Arrival
from pybots_worker.contract import (
    FIRST_PACK_BYTES,
    MANIFEST_FILE,
    PACK_FILE,
    RESULT_FILE,
    WANTED_FILE,
    InterpreterResult,
    InterpreterSpecification,
    InterpreterStatus,
)
from pybots_worker.interpreters.manifest import MAXIMUM_MANIFEST_BYTES
from pybots_worker.interpreters.pack import INSTALLED_FOLDER

PACK_SECONDS = 1200


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
            *hand_over("build", claimed.model_dump_json(), incoming, 10 * claimed.step_seconds),
            TakeInInterpreter(
                self.sessions, self.store, incoming, self.clock, claimed.key, kept=not claimed.clean
            ),
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


class TakeIn(Receive):
    """What takes a proven artifact into the store, and asks for the files that are still lacking then."""

    async def take_in(self, arrival: Arrival, *, with_pack: bool) -> int:
        """Store and save; ask where a file is lacking: it was removed since, or the worker left it out."""
        if with_pack:
            await deferToThread(arrival.take_in)
        try:
            await patiently(arrival.save)
        except FilesMissing as error:
            arrival.asked += 1
            if arrival.asked > MAXIMUM_ATTEMPTS:
                raise
            self.descriptionDone = str(error)
            self.build.addStepsAfterCurrentStep([AskForFiles(arrival)])
        return SUCCESS


class TakeInInterpreter(TakeIn):
    """Receives a worker's result, with what it packed at once; stores a proven artifact, and saves how it ended."""

    name = "take in"

    def __init__(
        self,
        sessions: Sessions,
        store: ArtifactStore,
        incoming: Path,
        clock: Clock,
        key: str,
        *,
        kept: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(incoming, **kwargs)
        self.kept = kept
        self.sessions = sessions
        self.store = store
        self.clock = clock
        self.key = key

    async def run(self) -> int:
        """Save a failure at once; have a proven artifact brought first."""
        if not await self.brought(RESULT_FILE, RESULT_BYTES):
            return FAILURE
        result = await deferToThread(self._read)
        if result.status is not InterpreterStatus.PROVEN or result.artifact is None:
            await patiently(self._save, result)
            self.descriptionDone = f"{result.status}: {result.detail}"
            return FAILURE
        if not self.kept:
            # A trial: that it can be made is all that it shows.
            await patiently(self._save, result)
            self.build.addStepsAfterCurrentStep([forget()])
            return SUCCESS
        if not await self.brought(MANIFEST_FILE, MAXIMUM_MANIFEST_BYTES):
            return FAILURE
        with_pack = 0 < result.pack_bytes <= FIRST_PACK_BYTES
        # One byte of room: buildbot-worker takes a file that is exactly as large as it may be for a larger one.
        if with_pack and not await self.brought(PACK_FILE, result.pack_bytes + 1):
            return FAILURE
        self.build.addStepsAfterCurrentStep([forget()])
        arrival = Arrival(self.sessions, self.store, self.incoming, self.clock, result, result.artifact)
        return await self.take_in(arrival, with_pack=with_pack)

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
    """Compares a manifest with the store, and has the worker pack what is lacking."""

    name = "compare"
    haltOnFailure = True

    def __init__(self, arrival: Arrival, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arrival = arrival

    async def run(self) -> int:
        """Add the steps that bring what is lacking."""
        lacking, packed_bytes = await deferToThread(self.arrival.lacking)
        self.descriptionDone = f"{len(lacking)} files are lacking"
        pack = ShellCommand(
            command=["pybots-worker", "pack", ".", "--cache", CACHE_FOLDER],
            name="pack",
            timeout=None,
            maxTime=PACK_SECONDS,
            sigtermTime=30,
            haltOnFailure=True,
            logEnviron=False,
        )
        wanted = StringDownload("\n".join(lacking), workerdest=WANTED_FILE, name="wanted", haltOnFailure=True)
        asking = [wanted, pack] if lacking else []
        self.build.addStepsAfterCurrentStep(
            [*asking, TakeInPack(self.arrival, packed_bytes if lacking else 0)]
        )
        return SUCCESS


class TakeInPack(TakeIn):
    """Receives the pack that was asked for, takes it into the store, and saves the interpreter as proven."""

    name = "store"

    def __init__(self, arrival: Arrival, packed_bytes: int, **kwargs: Any) -> None:
        super().__init__(arrival.incoming, **kwargs)
        self.arrival = arrival
        self.packed_bytes = packed_bytes

    async def run(self) -> int:
        """Without a pack where nothing was lacking any more."""
        if self.packed_bytes and not await self.brought(PACK_FILE, self.packed_bytes):
            return FAILURE
        return await self.take_in(self.arrival, with_pack=self.packed_bytes > 0)


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
