"""Talks to the results database about runs: what is wanted, who works on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, load_only

from pybots.database.tables import (
    PLACES_PER_COMMIT,
    InterpreterRow,
    ProjectRow,
    RunRow,
    Track,
    WorkerFault,
)
from pybots.interpreters.plan import TrackName
from pybots.interpreters.records import FIRST_PAUSE, track_name
from pybots.runs.schedule import run_key
from pybots.runs.status import Role, State
from pybots_worker.contract import RunSpecification


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that the dispatcher has to ask Buildbot for."""

    key: str
    project: str
    track: TrackName
    trial: bool = False
    """A comparison asked for it."""
    on_worker: str = ""
    """The one worker that may carry it out; empty: any that is not in `not_on`."""
    not_on: tuple[str, ...] = ()
    machine_idle: bool = False
    """Nothing else may run on that machine meanwhile."""


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that a worker may begin."""

    specification: RunSpecification
    attempts: int


def next_serial(session: Session, project: str, interpreter: InterpreterRow) -> int:
    """Return how many subject runs of *project* there are on *interpreter*: the next one's serial number."""
    return (
        session.scalar(
            select(func.count())
            .select_from(RunRow)
            .join(ProjectRow, ProjectRow.id == RunRow.project_id)
            .where(
                ProjectRow.name == project,
                RunRow.interpreter_id == interpreter.id,
                RunRow.role == Role.SUBJECT,
            )
        )
        or 0
    )


def seconds_before(session: Session, track_id: int) -> dict[str, float]:
    """Return by project how long its newest finished subject run took: on the track, or else on any other."""
    finished = (RunRow.role == "subject", RunRow.state == "finished", RunRow.seconds > 0)
    known: dict[str, float] = {}
    for where in (finished, (*finished, RunRow.track_id == track_id)):
        newest = select(func.max(RunRow.id)).where(*where).group_by(RunRow.project_id)
        rows = select(ProjectRow.name, RunRow.seconds).join(ProjectRow, ProjectRow.id == RunRow.project_id)
        known |= {row.name: row.seconds for row in session.execute(rows.where(RunRow.id.in_(newest)))}
    return known


def plan(
    session: Session,
    *,
    specification: RunSpecification,
    interpreter: InterpreterRow,
    serial: int,
    state: str,
    now: datetime,
) -> WantedRun | None:
    """Save a subject run as wanted (or `requested`); None where that run exists, or no place is left for it."""
    if serial >= PLACES_PER_COMMIT:
        return None
    key = run_key(specification.project, interpreter.key, serial)
    if session.scalar(select(RunRow.id).where(RunRow.key == key)) is not None:
        return None
    project = session.scalars(select(ProjectRow).where(ProjectRow.name == specification.project)).one()
    session.add(
        RunRow(
            key=key,
            project_id=project.id,
            track_id=interpreter.track_id,
            interpreter_id=interpreter.id,
            place=interpreter.position * PLACES_PER_COMMIT + serial,
            role="subject",
            state=state,
            specification=specification.model_dump_json(),
            deselected=len(specification.deselected),
            wanted_at=now,
        )
    )
    session.flush()
    return WantedRun(key, specification.project, track_name(session, interpreter.track_id))


def in_state(
    session: Session,
    states: Sequence[str],
    platforms: Sequence[str],
    now: datetime,
    limit: int,
    workers: Collection[str] | None = None,
) -> list[WantedRun]:
    """Return at most *limit* runs in one of *states* on *platforms* that are due *now*: trials first, each in order.

    Of those that one worker alone may carry out, only what one of *workers* may; of trials, only those whose
    interpreter is there: one that was taken out of the store is being built again.
    """
    row = RunRow
    query = (
        select(row, ProjectRow.name)
        .options(
            load_only(row.key, row.track_id, row.comparison_id, row.on_worker, row.not_on, row.machine_idle)
        )
        .join(ProjectRow, ProjectRow.id == row.project_id)
        .join(Track, Track.id == row.track_id)
        .join(InterpreterRow, InterpreterRow.id == row.interpreter_id)
        .where(row.state.in_(states), Track.platform.in_(platforms), row.wanted_at <= now)
        .where(or_(row.comparison_id.is_(None), InterpreterRow.state == State.FINISHED))
    )
    if workers is not None:
        query = query.where(row.on_worker.in_(["", *workers]))
    rows = session.execute(query.order_by(row.comparison_id.is_(None), row.id).limit(limit)).all()
    return [_wanted(session, run, name) for run, name in rows]


def _wanted(session: Session, run: RunRow, project: str) -> WantedRun:
    return WantedRun(
        key=run.key,
        project=project,
        track=track_name(session, run.track_id),
        trial=run.comparison_id is not None,
        on_worker=run.on_worker,
        not_on=tuple(filter(None, run.not_on.split(","))),
        machine_idle=run.machine_idle,
    )


def claim(
    session: Session, key: str, worker: str, build: int, began: datetime, now: datetime
) -> ClaimedRun | None:
    """Take the run *key* for *worker*; None where it is finished already.

    An attempt that ended with an earlier life of the master (before *began*) was nobody's failure: it is not
    counted.
    """
    row = session.scalars(select(RunRow).where(RunRow.key == key)).one_or_none()
    if row is None or row.state == "finished":
        return None
    if row.state != "running" or row.started_at is None or row.started_at >= began:
        row.attempts += 1
        if row.state == "running":
            _fault(session, row, "the connection was lost during the run", now)
    row.state, row.worker, row.buildbot_build, row.started_at = "running", worker, build, now
    return ClaimedRun(RunSpecification.model_validate_json(row.specification), row.attempts)


def release(session: Session, key: str, maximum_attempts: int, now: datetime, detail: str = "") -> bool:
    """Put the run *key*, which ended as *detail* says, back to be wanted after a pause, while attempts remain.

    False where none do.
    """
    row = session.scalars(select(RunRow).where(RunRow.key == key)).one_or_none()
    if row is None or row.state != "running" or row.attempts >= maximum_attempts:
        return False
    # A machine without room or network is not mended at once: each pause is longer than the one before.
    row.state, row.wanted_at = "wanted", now + row.attempts**2 * FIRST_PAUSE
    _fault(session, row, detail, now)
    return True


def _fault(session: Session, run: RunRow, what: str, now: datetime) -> None:
    """Put into the worker's record what happened to an attempt at *run*."""
    if run.worker and what:
        session.add(WorkerFault(worker=run.worker, at=now, run_id=run.id, what=what[:500]))


def mark_requested(session: Session, keys: Iterable[str]) -> None:
    """Note that Buildbot has been asked for the runs *keys*."""
    for row in session.scalars(select(RunRow).where(RunRow.key.in_(list(keys)), RunRow.state == "wanted")):
        row.state = "requested"
