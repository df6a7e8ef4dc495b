"""A farm without Buildbot: runs that were made, what comparisons said of them, the incidents that come of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import zstandard
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Base, ComparisonRow, FailureRow, RunFailureRow, RunRow, TestRow, VerdictRow
from pybots.incidents.read_incidents import Incident, incidents
from pybots.incidents.store_incidents import after_subject, apply_verdicts
from pybots.results.observed import failure_digest
from pybots.results.outcome import BAD, Failure, Outcome, Report, TestResult
from pybots.results.signature import signature
from pybots.results.store import ReceivedRun, ingest
from pybots_worker.contract import Ending, RunResult
from rows import NOW, Rows, specification

WHOLE = ""
GONE_WRONG = Failure("AttributeError", "module 'time' has no attribute 'clock'", "")
_BY_STATUS = {"install-failed": Ending.INSTALL_FAILED, "environment-failed": Ending.ENVIRONMENT_FAILED}


def in_memory() -> Sessions:
    """Sessions on a new database in memory."""
    engine = open_engine("sqlite://")
    Base.metadata.create_all(engine)
    return Sessions(engine)


@dataclass
class World:
    """Runs and verdicts, one after the other; each is one transaction, as on a farm."""

    sessions: Sessions = field(default_factory=in_memory)
    numbers: Any = field(default_factory=itertools.count)
    minutes: int = 0

    def now(self) -> Any:
        self.minutes += 1
        return NOW + timedelta(minutes=self.minutes)

    def subject(
        self,
        position: int,
        outcomes: Mapping[str, Outcome | Failure] | str,
        *,
        project: str = "attrs",
        variant: str = "default",
        again: int = 0,
    ) -> str:
        """A complete subject run with these outcomes, or one that ended before its suite (a status); its key."""
        key = f"{project}-{variant}-{position}-{again}"
        with self.sessions.writing() as session:
            rows = Rows(session)
            rows.run(
                position,
                rows.project(project),
                rows.track(variant=variant),
                key=key,
                again=again,
                worker="w-1",
            )
        now = self.now()
        ingest(self.sessions, key, _received(key, outcomes), now)
        with self.sessions.writing() as session:
            run = session.query(RunRow).filter_by(key=key).one()
            after_subject(session, run, now)
        return key

    def verdicts(
        self,
        subject: str,
        baseline: str | None,
        items: Mapping[str, Failure | str],
        *,
        kind: str = "failed",
        cause: str = "interpreter",
        tried: tuple[int, int] = (5, 0),
        comparison: int | None = None,
        **values: Any,
    ) -> int:
        """What a comparison came to; *tried*: how often the subject's trials failed and passed. Its number."""
        now = self.now()
        with self.sessions.writing() as session:
            run = session.query(RunRow).filter_by(key=subject).one()
            before = session.query(RunRow).filter_by(key=baseline).one() if baseline else None
            known = session.get(ComparisonRow, comparison) if comparison else None
            made = known or ComparisonRow(
                subject_id=run.id,
                baseline_id=before.id if before else None,
                baseline_interpreter_id=before.interpreter_id if before else None,
                project_id=run.project_id,
                track_id=run.track_id,
                state="closed",
                moved="interpreter",
                opened_at=now,
            )
            session.add(made)
            session.flush()
            for item, said in items.items():
                row = _verdict(session, run, item, said)
                row.comparison_id, row.kind, row.cause, row.decided_at = made.id, kind, cause, now
                row.axes = cause if cause in {"interpreter", "project", "dependency"} else ""
                row.reason, row.chance = "it fails, and the control passes.", 1e-5
                row.evidence = json.dumps(self._trials(session, run, row.test_id, kind, tried))
                for name, value in values.items():
                    setattr(row, name, value)
                session.add(row)
            session.flush()
            apply_verdicts(session, made, now)
            return made.id

    def breaks(
        self, position: int, good: int, *tests: str, said: Failure = GONE_WRONG, **values: Any
    ) -> None:
        """*tests* pass at *good*, fail at *position*, and it is the interpreter's."""
        where = {name: values[name] for name in ("project", "variant") if name in values}
        values = {name: value for name, value in values.items() if name not in where}
        baseline = self.ran(good, **where) or self.subject(
            good, dict.fromkeys(tests, Outcome.PASSED), **where
        )
        subject = self.subject(position, dict.fromkeys(tests, said), **where)
        self.verdicts(subject, baseline, dict.fromkeys(tests, said), **values)

    def ran(self, position: int, project: str = "attrs", variant: str = "default") -> str | None:
        key = f"{project}-{variant}-{position}-0"
        with self.sessions.reading() as session:
            return key if session.query(RunRow).filter_by(key=key).count() else None

    def passes(self, position: int, *tests: str, **where: Any) -> None:
        self.subject(position, dict.fromkeys(tests, Outcome.PASSED), **where)

    def incidents(self) -> list[Incident]:
        with self.sessions.reading() as session:
            return incidents(session)

    def one(self) -> Incident:
        (only,) = self.incidents()
        return only

    def _trials(
        self, session: Session, subject: RunRow, test_id: int | None, kind: str, tried: tuple[int, int]
    ) -> list[str]:
        failed, passed = tried
        back = ["interpreter"] * max(failed, 1)
        keys = []
        for which, bad in [*[("", True)] * failed, *[("", False)] * passed, *[(one, False) for one in back]]:
            key = f"{subject.key}/{next(self.numbers)}"
            trial = RunRow(
                key=key,
                project_id=subject.project_id,
                track_id=subject.track_id,
                interpreter_id=subject.interpreter_id,
                place=subject.place,
                role="control" if which else "confirmation",
                state="finished",
                status=(kind if bad else "passed") if test_id is None else "tests-failed",
                specification=specification(key).model_dump_json(),
                worker="w-2",
                back=which,
                wanted_at=NOW,
            )
            session.add(trial)
            session.flush()
            if test_id is not None:
                outcome = Outcome.FAILED if bad else Outcome.PASSED
                session.add(RunFailureRow(run_id=trial.id, test_id=test_id, outcome=outcome.value))
            keys.append(key)
        return keys


def _verdict(session: Session, run: RunRow, item: str, said: Failure | str) -> VerdictRow:
    test = session.query(TestRow).filter_by(project_id=run.project_id, name=item).one() if item else None
    if isinstance(said, str):
        return VerdictRow(test_id=test.id if test else None, signature=said)
    failure = session.query(FailureRow).filter_by(digest=failure_digest(said)).one_or_none()
    return VerdictRow(
        test_id=test.id if test else None,
        signature=signature(said),
        failure_id=failure.id if failure else None,
    )


def _received(key: str, outcomes: Mapping[str, Outcome | Failure] | str) -> ReceivedRun:
    if isinstance(outcomes, str):
        result = RunResult(key=key, ending=_BY_STATUS[outcomes], phases=[], seconds=1)
        log = zstandard.compress(b"gcc -c a.c\na.c:1:2: error: expected ';' before 'x'\n")
        return ReceivedRun(result=result, report=Report(), log=log, worker="w-1")
    results = {
        name: TestResult(name, Outcome.FAILED, 0.1, said)
        if isinstance(said, Failure)
        else TestResult(name, said, 0.1)
        for name, said in outcomes.items()
    }
    bad = any(test.outcome in BAD for test in results.values())
    result = RunResult(
        key=key, ending=Ending.EXITED, exit_status=int(bad), phases=[], seconds=1, report_present=True
    )
    return ReceivedRun(result=result, report=Report(results), log=b"", worker="w-1")
