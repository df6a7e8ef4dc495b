"""Writes down every few seconds that the master lives, and which workers are there."""

from __future__ import annotations

from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet import defer, task
from twisted.internet.threads import deferToThread
from twisted.python import log

from pybots.config.model import FarmConfiguration, WorkerSection
from pybots.database.tables import Heartbeat, WorkerRow
from pybots.farm.parts import Parts

BEAT_SECONDS = 5.0


def slots(worker: WorkerSection) -> list[str]:
    """Return the names of *worker*'s Buildbot workers: one a slot."""
    if worker.slots == 1:
        return [worker.name]
    return [f"{worker.name}-{number}" for number in range(1, worker.slots + 1)]


class Attendance(BuildbotService):
    """The master's heartbeat and the workers' presence, for the site."""

    name = "attendance"  # type: ignore[assignment]
    _rounds: task.LoopingCall | None = None

    def reconfigService(self, *, parts: Parts, configuration: FarmConfiguration) -> defer.Deferred[Any]:  # type: ignore[override]
        """Take over a new configuration."""
        self.parts = parts
        self.configuration = configuration
        return defer.succeed(None)

    def startService(self) -> Any:
        """Beat at once: a page that was silent speaks again as soon as the master is up."""
        self._started = self.parts.clock()
        self._rounds = task.LoopingCall(self._beat)
        self._rounds.clock = self.master.reactor
        self._rounds.start(BEAT_SECONDS)
        return super().startService()

    def stopService(self) -> Any:
        """Fall silent."""
        if self._rounds is not None and self._rounds.running:
            self._rounds.stop()
        return super().stopService()

    def _beat(self) -> defer.Deferred[Any]:
        connected = {
            name: (worker.conn is not None, self._doing(worker)) for name, worker in self.master.workers.workers.items()
        }
        done = deferToThread(self._save, connected)
        done.addErrback(log.err, "a heartbeat could not be saved")
        return done

    @staticmethod
    def _doing(worker: Any) -> str:
        for for_builder in worker.workerforbuilders.values():
            if for_builder.isBusy():
                return str(for_builder.builder_name)
        return ""

    def _save(self, connected: dict[str, tuple[bool, str]]) -> None:
        now = self.parts.clock()
        with self.parts.sessions.writing() as session:
            session.merge(Heartbeat(process="master", started_at=self._started, at=now))
            for worker in self.configuration.worker:
                for name in slots(worker):
                    here, doing = connected.get(name, (False, ""))
                    row = session.get(WorkerRow, name)
                    if row is None:
                        row = WorkerRow(name=name, changed_at=now, connected=here)
                        session.add(row)
                    if row.connected != here:
                        row.changed_at = now
                    row.platform, row.owner = worker.platform, worker.owner
                    row.connected, row.doing = here, doing
