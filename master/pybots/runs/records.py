"""Talks to the results database about runs: what is wanted, who works on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.tables import PLACES_PER_COMMIT, InterpreterRow, ProjectRow, RunRow, Track
from pybots.interpreters.plan import TrackName
from pybots.interpreters.records import FIRST_PAUSE, track_name
from pybots.runs.schedule import run_key
from pybots_worker.contract import RunSpecification


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that the dispatcher has to ask Buildbot for."""

    key: str
    project: str
    track: TrackName


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that a worker may begin."""

    specification: RunSpecification
    attempts: int


def next_serial(session: Session, project: str, interpreter: InterpreterRow) -> int:
    """Return how many runs of *project* there are on *interpreter*, which is the next one's serial number."""
    return (
        session.scalar(
            select(func.count())
            .select_from(RunRow)
            .join(ProjectRow, ProjectRow.id == RunRow.project_id)
            .where(ProjectRow.name == project, RunRow.interpreter_id == interpreter.id)
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
    session: Session, states: Sequence[str], platforms: Sequence[str], now: datetime, limit: int
) -> list[WantedRun]:
    """Return at most *limit* runs in one of *states* on *platforms* that are due *now*, in order."""
    rows = session.execute(
        select(RunRow.key, RunRow.track_id, ProjectRow.name)
        .join(ProjectRow, ProjectRow.id == RunRow.project_id)
        .join(Track, Track.id == RunRow.track_id)
        .where(RunRow.state.in_(states), Track.platform.in_(platforms), RunRow.wanted_at <= now)
        .order_by(RunRow.id)
        .limit(limit)
    ).all()
    return [WantedRun(key, name, track_name(session, track_id)) for key, track_id, name in rows]


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
    row.state, row.worker, row.buildbot_build, row.started_at = "running", worker, build, now
    return ClaimedRun(RunSpecification.model_validate_json(row.specification), row.attempts)


def release(session: Session, key: str, maximum_attempts: int, now: datetime) -> bool:
    """Put the run *key* back to be wanted after a pause, while attempts remain; False where none do."""
    row = session.scalars(select(RunRow).where(RunRow.key == key)).one_or_none()
    if row is None or row.state != "running" or row.attempts >= maximum_attempts:
        return False
    # A machine without room or network is not mended at once: each pause is longer than the one before.
    row.state, row.wanted_at = "wanted", now + row.attempts**2 * FIRST_PAUSE
    return True


def mark_requested(session: Session, keys: Iterable[str]) -> None:
    """Note that Buildbot has been asked for the runs *keys*."""
    for row in session.scalars(select(RunRow).where(RunRow.key.in_(list(keys)), RunRow.state == "wanted")):
        row.state = "requested"
