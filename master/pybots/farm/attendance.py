"""Writes down every few seconds that the master lives, and which workers are there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete
from twisted.internet import defer
from twisted.internet.threads import deferToThread

from pybots.commits.rounds import RoundsService
from pybots.config.model import FarmConfiguration
from pybots.config.slots import slots
from pybots.database.tables import Heartbeat, WorkerRow
from pybots.farm.parts import Parts
from pybots.fleet.sandbox import INFO, sandbox_of

BEAT_SECONDS = 5.0


class Attendance(RoundsService):
    """The master's heartbeat and the workers' presence, for the site."""

    name = "attendance"
    _started: datetime | None = None

    def reconfigService(self, *, parts: Parts, configuration: FarmConfiguration) -> defer.Deferred[Any]:
        """Take over a new configuration; beat at once, so that a page that was silent speaks again."""
        self.parts = parts
        self.configuration = configuration
        self._started = self._started or parts.clock()
        self.begin(BEAT_SECONDS)
        return defer.succeed(None)

    async def round(self) -> None:
        """Save one heartbeat."""
        connected = {
            name: (
                worker.conn is not None,
                self._doing(worker),
                sandbox_of(worker.info.getProperty(INFO)).said,
            )
            for name, worker in self.master.workers.workers.items()
        }
        await deferToThread(self._save, connected)

    @staticmethod
    def _doing(worker: Any) -> str:
        for for_builder in worker.workerforbuilders.values():
            if for_builder.isBusy():
                return str(for_builder.builder_name)
        return ""

    def _save(self, connected: dict[str, tuple[bool, str, str]]) -> None:
        now = self.parts.clock()
        with self.parts.sessions.writing() as session:
            session.merge(Heartbeat(process="master", started_at=self._started, at=now))
            known = [name for worker in self.configuration.worker for name in slots(worker)]
            session.execute(delete(WorkerRow).where(WorkerRow.name.not_in(known)))
            for worker in self.configuration.worker:
                for name in slots(worker):
                    here, doing, sandbox = connected.get(name, (False, "", ""))
                    row = session.get(WorkerRow, name)
                    if row is None:
                        row = WorkerRow(name=name, changed_at=now, connected=here)
                        session.add(row)
                    if row.connected != here:
                        row.changed_at = now
                    row.platform, row.owner = worker.platform, worker.owner
                    row.connected, row.doing, row.sandbox = here, doing, sandbox
