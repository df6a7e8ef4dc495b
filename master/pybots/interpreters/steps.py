"""Buildbot steps that claim work, hand it to a worker, and receive what the worker wrote."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.remotecommand import RemoteCommand
from buildbot.process.remotetransfer import FileWriter
from buildbot.process.results import FAILURE, SKIPPED, SUCCESS
from buildbot.steps.shell import ShellCommand
from buildbot.steps.transfer import StringDownload
from twisted.internet.threads import deferToThread

from pybots.database.engine import Sessions
from pybots_worker.contract import SPECIFICATION_FILE

RESULT_BYTES = 8 << 20
# Larger blocks break the connection: 4 MiB raises in the step (docs/decisions/0001).
BLOCK_BYTES = 256 << 10
MAXIMUM_ATTEMPTS = 3
"""The first one, and two after a lost worker."""
WORK_FOLDER = "job"
CACHE_FOLDER = "../../cache"
FINISHED = "finished already"

Clock = Callable[[], datetime]


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


class Receive(BuildStep):
    """Brings what a worker wrote to the folder *incoming*; subclasses say which files.

    One step for all files: a step costs the master about as much as the rest of what it does here.
    """

    name = "receive"
    haltOnFailure = True
    _said: Any = None

    def __init__(self, incoming: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.incoming = incoming

    async def brought(self, name: str, maximum_bytes: int) -> bool:
        """Bring one file, as Buildbot's own step does it; False, with a word about it, where that failed."""
        self._said = self._said or await self.addLog("stdio")
        writer = FileWriter(str(self.incoming / name), maximum_bytes, None)
        asked = {
            "workdir": self.workdir,
            "workersrc": name,
            "writer": writer,
            "maxsize": maximum_bytes,
            "blocksize": BLOCK_BYTES,
            "keepstamp": False,
        }
        command = RemoteCommand("uploadFile", asked, decodeRC={None: SUCCESS, 0: SUCCESS})
        command.useLog(self._said)
        try:
            await self.runCommand(command)
        finally:
            writer.cancel()
        if command.results() < FAILURE:
            return True
        writer.purge()
        self.descriptionDone = f"the worker's {name} could not be brought"
        return False
