"""A farm's judge over a real results database, with an executor that is told what each run shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions
from pybots.database.tables import ComparisonRow, RunRow, TestRow, VerdictRow, WorkerRow
from pybots.farm.judge import Judge
from pybots.results.outcome import Failure, Outcome, Report, TestResult
from pybots.results.store import ReceivedRun, ingest, record_lost
from pybots.runs.status import RunStatus
from pybots_worker.contract import (
    Ending,
    Lock,
    PypiSource,
    ReportFormat,
    RunResult,
    RunSpecification,
    StoredInterpreter,
    lock_digest,
)
from rows import Rows

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BAD = {Outcome.FAILED, Outcome.ERROR}
Shown = Mapping[str, Outcome] | Ending
"""What a run's suite does: outcomes by test, or how it ended instead."""


class SimulatedFarm:
    """One project on one track. *shows* says what a run of a specification does, by the axes in it."""

    def __init__(
        self,
        sessions: Sessions,
        shows: Callable[[int, str, str, str], Shown],
        machines: Mapping[str, int] | None = None,
    ) -> None:
        """*shows* is given the interpreter's position, the project's revision, the environment, and the worker."""
        self.sessions = sessions
        self.shows = shows
        self.now = NOW
        self.executions = 0
        machines = {"one": 1, "two": 1} if machines is None else machines
        worker = {"platform": "linux-x86_64-glibc", "interpreters": True, "password_file": "x"}
        configuration = FarmConfiguration.model_validate(
            {
                "trunk": {"git": "."},
                "worker": [{**worker, "name": name, "slots": slots} for name, slots in machines.items()],
            }
        )
        parts: Any = SimpleNamespace(sessions=sessions, clock=lambda: self.now)
        self.judge = Judge(parts, configuration)
        self.workers = sorted(self.judge.machines)
        with sessions.writing() as session:
            self.project = Rows(session).project("attrs")
            self.track = Rows(session).track()
            for name in self.workers:
                row = WorkerRow(
                    name=name, platform=worker["platform"], connected=True, changed_at=NOW, owner=""
                )
                session.merge(row)

    def subject(
        self,
        position: int,
        revision: str = "1.0",
        environment: str = "a==1",
        worker: str = "one",
        **values: Any,
    ) -> str:
        """Have the subject on the interpreter at *position* carried out; return its key."""
        key = self.wanted(position, revision, environment, **values)
        self.carry_out(key, worker, lock=environment)
        return key

    def wanted(self, position: int, revision: str = "1.0", environment: str = "a==1", **values: Any) -> str:
        """Plan a subject run; what it resolves to is the executor's to say."""
        with self.sessions.writing() as session:
            rows = Rows(session, self.now)
            interpreter = rows.interpreter(position, session.merge(self.track))
            key = f"attrs~{interpreter.key}~{values.get('again', 0)}"
            said = RunSpecification(
                key=key,
                project="attrs",
                source=PypiSource(name="attrs", version=revision),
                interpreter=StoredInterpreter(digest=self.digest(position), url="http://store"),
                command=["{python}", "-m", "pytest"],
                report=ReportFormat.JUNIT,
            )
            return rows.run(
                position,
                session.merge(self.project),
                session.merge(self.track),
                key=key,
                state="wanted",
                started_at=None,
                specification=said.model_dump_json(),
                **values,
            ).key

    def digest(self, position: int) -> str:
        """The artifact's digest, as `Rows` makes it."""
        return f"{self.track.id * 1_000_000 + position:064x}"

    def carry_out(self, key: str, worker: str, lock: str = "a==1") -> None:
        """Execute the run *key* on *worker* and ingest what comes back."""
        self.executions += 1
        with self.sessions.writing() as session:
            run = session.scalars(select(RunRow).where(RunRow.key == key)).one()
            run.state, run.worker = "running", worker
            said = RunSpecification.model_validate_json(run.specification)
        assert isinstance(said.source, PypiSource)
        assert isinstance(said.interpreter, StoredInterpreter)
        position = int(said.interpreter.digest, 16) - self.track.id * 1_000_000
        environment = said.lock.requirements if said.lock else lock
        shown = self.shows(position, said.source.version, environment, worker)
        self.now += timedelta(seconds=10)
        if shown is Ending.UNFIT and worker == "away":
            record_lost(self.sessions, key, RunStatus.WORKER_LOST, "gone", self.now)
            return
        received = self._received(said, shown, environment, worker)
        ingest(self.sessions, key, received, self.now)

    def _received(self, said: RunSpecification, shown: Shown, environment: str, worker: str) -> ReceivedRun:
        results: dict[str, TestResult] = {}
        ending = shown if isinstance(shown, Ending) else Ending.EXITED
        if not isinstance(shown, Ending):
            names = [name for name in shown if said.tests is None or name in said.tests]
            results = {
                name: TestResult(name, shown[name], 0.1, _failure(name, shown[name])) for name in names
            }
        bad = any(result.outcome in BAD for result in results.values())
        prepared = ending not in {Ending.FETCH_FAILED, Ending.ENVIRONMENT_FAILED, Ending.UNFIT}
        locked = Lock(requirements=environment, digest=lock_digest(environment, "")) if prepared else None
        assert isinstance(said.source, PypiSource)
        result = RunResult(
            key=said.key,
            ending=ending,
            detail="" if ending is Ending.EXITED else f"it ended with {ending}",
            exit_status=(int(bad) if results else 5) if ending is Ending.EXITED else None,
            signal="SIGSEGV" if ending is Ending.CRASHED else "",
            revision=said.source.version,
            lock=locked,
            environment_digest=lock_digest(environment, "installed") if prepared else None,
            phases=[],
            seconds=9,
            report_present=ending is Ending.EXITED,
            suite_seconds=3.0 if ending in {Ending.EXITED, Ending.CRASHED} else 0.0,
            tests_selected=said.tests is not None,
        )
        return ReceivedRun(result, Report(results), b"", worker)

    def settle(self, rounds: int = 200) -> None:
        """Judge, and carry out what is wanted, until nothing is."""
        for _ in range(rounds):
            busy = self.judge()
            wanted = self.runs(state="wanted")
            if not busy and not wanted:
                return
            for run in wanted:
                allowed = [name for name in self.workers if name not in run.not_on.split(",")]
                self.carry_out(run.key, run.on_worker or allowed[0])
        msg = f"not settled after {rounds} rounds: {self.verdicts()}"
        raise AssertionError(msg)

    def settle_without(self, held_back: str) -> None:
        """Judge, and carry out what is wanted but for the run *held_back*, until nothing else is."""
        for _ in range(200):
            busy = self.judge()
            wanted = [run for run in self.runs(state="wanted") if run.key != held_back]
            if not busy and not wanted:
                return
            for run in wanted:
                self.carry_out(run.key, run.on_worker or self.workers[0])

    def runs(self, **values: Any) -> list[RunRow]:
        """Runs with these values, in the order in which they were asked for."""
        with self.sessions.reading() as session:
            return list(session.scalars(select(RunRow).filter_by(**values).order_by(RunRow.id)))

    def trials(self) -> list[RunRow]:
        """Every trial, in order."""
        return [run for run in self.runs() if run.comparison_id is not None]

    def comparisons(self) -> list[ComparisonRow]:
        """Every comparison, in order."""
        with self.sessions.reading() as session:
            return list(session.scalars(select(ComparisonRow).order_by(ComparisonRow.id)))

    def verdicts(self) -> dict[str, VerdictRow]:
        """Verdicts by item (the newest one of each), the run as a whole under an empty name."""
        with self.sessions.reading() as session:
            query = (
                select(VerdictRow, TestRow.name)
                .outerjoin(TestRow, TestRow.id == VerdictRow.test_id)
                .order_by(VerdictRow.id)
            )
            return {name or "": row for row, name in session.execute(query)}

    def causes(self) -> dict[str, str]:
        """The cause of each item."""
        return {name: row.cause for name, row in self.verdicts().items()}


def _failure(name: str, outcome: Outcome) -> Failure | None:
    if outcome not in BAD:
        return None
    text = f'Traceback:\n  File "/a/test_it.py", line 3, in {name}\nValueError: bad value'
    return Failure("ValueError", "bad value", text)
