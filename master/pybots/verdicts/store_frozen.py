"""Reads from the results database what a finished run was made of, and at which places there are runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from pybots.database.tables import ArtifactRow, EnvironmentRow, InterpreterRow, RunRow
from pybots.results.outcome import Outcome
from pybots.runs.status import Role, State
from pybots.verdicts.compare import UNJUDGED
from pybots.verdicts.freeze import Frozen
from pybots_worker.contract import InterpreterStatus, Lock, RunSpecification, StoredInterpreter

_COUNTED = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.ERROR: "error",
    Outcome.SKIPPED: "skipped",
    Outcome.EXPECTED_FAILURE: "expected_failure",
    Outcome.UNEXPECTED_PASS: "unexpected_pass",
}


def frozen(session: Session, run: RunRow) -> Frozen:
    """Return what *run*, a finished one, was made of."""
    lock = None
    if run.environment_id is not None:
        environment = session.get_one(EnvironmentRow, run.environment_id)
        lock = Lock(
            requirements=environment.requirements,
            build_constraints=environment.build_constraints,
            digest=environment.digest,
        )
    specification = RunSpecification.model_validate_json(run.specification)
    interpreter = specification.interpreter
    digest = interpreter.digest if isinstance(interpreter, StoredInterpreter) else ""
    return Frozen(specification, run.revision, lock, run.environment_digest, digest)


def counts(run: RunRow) -> dict[Outcome, int]:
    """Return how many tests of *run* had which outcome."""
    return {outcome: getattr(run, column) for outcome, column in _COUNTED.items()}


def subjects_beside(run: RunRow) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the other subject runs of the project on the track."""
    return (
        RunRow.project_id == run.project_id,
        RunRow.track_id == run.track_id,
        RunRow.role == Role.SUBJECT,
        RunRow.id != run.id,
    )


def places_before(session: Session, run: RunRow, limit: int) -> list[int]:
    """Return the places of the last *limit* complete subject runs before *run*, in order."""
    found = select(RunRow.place).where(*subjects_beside(run), RunRow.complete, RunRow.place < run.place)
    return list(session.scalars(found.order_by(RunRow.place.desc()).limit(limit)))[::-1]


def places_after(session: Session, run: RunRow, limit: int) -> list[int]:
    """Return the places of the first *limit* complete subject runs after *run*, in order."""
    found = select(RunRow.place).where(*subjects_beside(run), RunRow.complete, RunRow.place > run.place)
    return list(session.scalars(found.order_by(RunRow.place).limit(limit)))


def run_at(session: Session, run: RunRow, place: int) -> RunRow | None:
    """Return the subject run of *run*'s project on its track at *place*."""
    return session.scalar(select(RunRow).where(*subjects_beside(run), RunRow.place == place))


def judged_before(session: Session, run: RunRow, limit: int) -> list[RunRow]:
    """Return the last *limit* subject runs before *run* that say something of how a run ends, in order."""
    found = select(RunRow).where(*subjects_beside(run), *_judged(), RunRow.place < run.place)
    return list(session.scalars(found.order_by(RunRow.place.desc()).limit(limit)))[::-1]


def judged_after(session: Session, run: RunRow, limit: int) -> list[RunRow]:
    """Return the first *limit* subject runs after *run* that say something of how a run ends, in order."""
    found = select(RunRow).where(*subjects_beside(run), *_judged(), RunRow.place > run.place)
    return list(session.scalars(found.order_by(RunRow.place).limit(limit)))


def _judged() -> tuple[ColumnElement[bool], ...]:
    return RunRow.state == State.FINISHED, RunRow.status.not_in([status.value for status in UNJUDGED])


def older_interpreter(session: Session, run: RunRow) -> InterpreterRow | None:
    """Return the interpreter that something new is compared with, or None where there is none.

    It is that of the project's last complete subject run on the track, else the newest older proven one that the store
    still has.
    """
    last = select(RunRow.interpreter_id).where(
        *subjects_beside(run), RunRow.complete, RunRow.interpreter_id != run.interpreter_id
    )
    before = last.where(RunRow.place < run.place).order_by(RunRow.place.desc()).limit(1)
    number = session.scalar(before)
    if number is not None:
        return session.get_one(InterpreterRow, number)
    own = session.get_one(InterpreterRow, run.interpreter_id)
    return session.scalar(
        select(InterpreterRow)
        .join(ArtifactRow, ArtifactRow.id == InterpreterRow.artifact_id)
        .where(
            InterpreterRow.track_id == run.track_id,
            InterpreterRow.position < own.position,
            InterpreterRow.status == InterpreterStatus.PROVEN.value,
            ArtifactRow.removed_at.is_(None),
        )
        .order_by(InterpreterRow.position.desc())
        .limit(1)
    )


def more_expected(session: Session, run: RunRow, until: datetime, now: datetime) -> bool:
    """Say whether a later subject run is on its way, or an interpreter for one; none is awaited after *until*."""
    if now >= until:
        return False
    own = session.get_one(InterpreterRow, run.interpreter_id)
    waiting = [state.value for state in State if state is not State.FINISHED]
    runs = select(RunRow.id).where(*subjects_beside(run), RunRow.state.in_(waiting), RunRow.place > run.place)
    interpreters = select(InterpreterRow.id).where(
        InterpreterRow.track_id == run.track_id,
        InterpreterRow.state.in_(waiting),
        InterpreterRow.position > own.position,
    )
    return any(session.scalar(query.limit(1)) is not None for query in (runs, interpreters))


def artifact_of(session: Session, interpreter_id: int) -> ArtifactRow | None:
    """Return the artifact of an interpreter, in the store or not."""
    interpreter = session.get_one(InterpreterRow, interpreter_id)
    return None if interpreter.artifact_id is None else session.get_one(ArtifactRow, interpreter.artifact_id)
