"""One round of judging: compares what came in, decides what comparisons have come to, and saves both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from twisted.python import log

from pybots.config.model import FarmConfiguration
from pybots.config.slots import slots
from pybots.database import conditions
from pybots.database.tables import ComparisonRow, RunRow
from pybots.farm.judge_trunk import JudgeTrunk
from pybots.farm.parts import Parts
from pybots.incidents import store_incidents
from pybots.results.store import record_lost
from pybots.verdicts import store_again, store_compare, store_examine
from pybots.verdicts.compare import UNJUDGED

AT_ONCE = 20
"""Subjects, and comparisons, of one round; the rest waits for the next, one second later."""
PAUSE = timedelta(minutes=5)
"""Before what could not be decided, for a mistake of ours, is tried again."""


class Judge:
    """Callable; blocks. A mistake in one comparison is a condition on the page, and stops no other."""

    def __init__(self, parts: Parts, configuration: FarmConfiguration) -> None:
        self.parts = parts
        self.rules = configuration.verdicts
        self.machines = {name: worker.name for worker in configuration.worker for name in slots(worker)}
        self.put_off: dict[str, datetime] = {}
        self.trunk = JudgeTrunk(configuration)

    def __call__(self) -> int:
        """Judge what is due; return how much that was."""
        self._give_up()
        for number in self.trunk.due(self.parts.sessions, self.parts.clock()):
            self._carefully(f"judging interpreter {number}", self._judge_interpreter, number)
        with self.parts.sessions.reading() as session:
            subjects = store_compare.due_subjects(session, self.parts.clock(), AT_ONCE + len(self.put_off))
        for number in subjects:
            self._carefully(f"comparing run {number}", self._compare, number)
        with self.parts.sessions.reading() as session:
            comparisons = store_examine.due_comparisons(
                session, self.parts.clock(), AT_ONCE + len(self.put_off)
            )
        for number in comparisons:
            self._carefully(f"comparison {number}", self._examine, number)
        return len(subjects) + len(comparisons)

    def _judge_interpreter(self, session: Session, number: int) -> None:
        self.trunk.judge(session, number, self.parts.clock())

    def _compare(self, session: Session, number: int) -> None:
        now, run = self.parts.clock(), session.get_one(RunRow, number)
        if run.status in UNJUDGED:
            run.compared = store_compare.COMPARED
            store_again.save_fault(session, run, now)
            store_again.subject_again(session, run, self.machines, now)
        else:
            store_compare.compare_subject(session, run, now)
            store_examine.look_again(session, run)
        store_incidents.after_subject(session, run, now)

    def _examine(self, session: Session, number: int) -> None:
        now, comparison = self.parts.clock(), session.get_one(ComparisonRow, number)
        for trial in store_again.trials_without_judgement(session, comparison):
            store_again.save_fault(session, trial, now)
        share = self.rules.false_incidents_a_year
        store_examine.examine_comparison(session, comparison, self.machines, share, now)
        store_incidents.apply_verdicts(session, comparison, now)

    def _give_up(self) -> None:
        """End the trials that nobody will carry out; their comparisons are then due."""
        now = self.parts.clock()
        away = timedelta(seconds=self.rules.worker_away_seconds)
        with self.parts.sessions.reading() as session:
            ended = store_again.given_up(session, away, now, AT_ONCE)
        for key, status, detail in ended:
            record_lost(self.parts.sessions, key, status, detail, now)

    def _carefully(self, what: str, work: Callable[[Session, int], None], number: int) -> None:
        """Do *work* on one row in one transaction; where it fails, say so on the page, and let it rest for a while."""
        now = self.parts.clock()
        if now < self.put_off.get(what, now):
            return
        try:
            with self.parts.sessions.writing() as session:
                work(session, number)
                if self.put_off.pop(what, None) is not None:
                    conditions.end(session, what)
        except Exception as error:  # noqa: BLE001  (whatever it is, the others are judged)
            log.err(error, f"{what} failed")
            self.put_off[what] = now + PAUSE
            with self.parts.sessions.writing() as session:
                text = f"{what} failed, and is tried again every {PAUSE.total_seconds() / 60:.0f} minutes: {error!r}"
                conditions.begin(session, what, text[:2_000], now)
