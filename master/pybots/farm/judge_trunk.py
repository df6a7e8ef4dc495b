"""Has interpreters judged that were not made, or are made again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.config.model import FarmConfiguration
from pybots.config.slots import slots
from pybots.database.engine import Sessions
from pybots.database.tables import InterpreterRow, InterpreterTrial, WorkerRow
from pybots.incidents import store_trunk


class JudgeTrunk:
    """Knows which workers make interpreters, and on which machine each is."""

    def __init__(self, configuration: FarmConfiguration) -> None:
        self.away = timedelta(seconds=configuration.verdicts.worker_away_seconds)
        self.machines = {name: worker.name for worker in configuration.worker for name in slots(worker)}
        self.builders: dict[str, list[str]] = {}
        for worker in configuration.worker:
            if worker.interpreters:
                self.builders.setdefault(worker.platform, []).append(slots(worker)[0])

    def due(self, sessions: Sessions, now: datetime) -> list[int]:
        """Return the interpreters that are due, by number; trials that no worker will carry out end first."""
        with sessions.reading() as session:
            gone = self._gone(session, now)
            due = store_trunk.due_interpreters(session)
        if not gone:
            return due
        with sessions.writing() as session:
            store_trunk.give_up_trials(session, gone, now)
            return store_trunk.due_interpreters(session)

    def judge(self, session: Session, number: int, now: datetime) -> None:
        """Go one step with an interpreter that is due."""
        row = session.get_one(InterpreterRow, number)
        store_trunk.judge_interpreter(session, row, self.builders, self.machines, now)

    def _gone(self, session: Session, now: datetime) -> set[str]:
        """Return workers that trials wait for, that are away for long, and instead of which another could build."""
        waited_for = select(InterpreterTrial.on_worker).where(
            InterpreterTrial.state.in_(["wanted", "requested"])
        )
        rows = session.scalars(
            select(WorkerRow).where(
                WorkerRow.name.in_(waited_for),
                WorkerRow.connected.is_(False),
                WorkerRow.changed_at <= now - self.away,
            )
        )
        return {row.name for row in rows if len(self.builders.get(row.platform, ())) > 1}
