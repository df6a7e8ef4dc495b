"""Talks to the results database about interpreters: who works on them, how they ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import ArtifactRow, Branch, Commit, InterpreterRow, InterpreterTrial, Track
from pybots.interpreters.plan import TrackName
from pybots_worker.contract import Artifact, InterpreterResult, InterpreterStatus

INHERITED = "inherited"
LOST = "worker-lost"
CANCELLED = "cancelled"
DUE, JUDGED = "due", "judged"
FIRST_PAUSE = timedelta(seconds=30)
"""Before the second attempt at what failed for the farm's own reasons; four times as long before the third."""


@dataclass(frozen=True, slots=True)
class WantedInterpreter:
    """An interpreter that the dispatcher has to ask Buildbot for."""

    key: str
    commit: str
    track: TrackName
    trial: bool = False
    """Built clean, for what it shows; its artifact is not kept."""
    on_worker: str = ""
    """The one worker that may make it; empty: any that is not in `not_on`."""
    not_on: tuple[str, ...] = ()


def track_row(session: Session, name: TrackName) -> Track:
    """Return the row of the track *name*, made where it is missing; its branch must exist."""
    branch = session.scalars(select(Branch).where(Branch.name == name.branch)).one()
    row = session.scalars(
        select(Track).where(
            Track.branch_id == branch.id, Track.variant == name.variant, Track.platform == name.platform
        )
    ).one_or_none()
    if row is None:
        row = Track(branch_id=branch.id, variant=name.variant, platform=name.platform)
        session.add(row)
        session.flush()
    return row


def track_name(session: Session, track_id: int) -> TrackName:
    """Return the names behind a track's number."""
    track = session.get_one(Track, track_id)
    return TrackName(session.get_one(Branch, track.branch_id).name, track.variant, track.platform)


def in_state(
    session: Session, states: Sequence[str], platforms: Sequence[str], now: datetime, limit: int
) -> list[WantedInterpreter]:
    """Return at most *limit* interpreters in one of *states* on *platforms* that are due *now*, in order."""
    rows = session.scalars(
        select(InterpreterRow)
        .join(Track, Track.id == InterpreterRow.track_id)
        .where(
            InterpreterRow.state.in_(states), Track.platform.in_(platforms), InterpreterRow.wanted_at <= now
        )
        .order_by(InterpreterRow.id)
        .limit(limit)
    ).all()
    trials = session.scalars(
        select(InterpreterTrial)
        .join(InterpreterRow, InterpreterRow.id == InterpreterTrial.interpreter_id)
        .join(Track, Track.id == InterpreterRow.track_id)
        .where(InterpreterTrial.state.in_(states), Track.platform.in_(platforms))
        .where(InterpreterTrial.wanted_at <= now)
        .order_by(InterpreterTrial.id)
        .limit(limit)
    )
    return [_wanted(session, row) for row in [*trials, *rows]][:limit]


def _wanted(session: Session, row: InterpreterRow | InterpreterTrial) -> WantedInterpreter:
    if isinstance(row, InterpreterTrial):
        made = session.get_one(InterpreterRow, row.interpreter_id)
        trial, on_worker, not_on = True, row.on_worker, ""
    else:
        made, trial, on_worker, not_on = row, False, "", row.not_on
    return WantedInterpreter(
        key=row.key,
        commit=session.get_one(Commit, made.commit_id).sha,
        track=track_name(session, made.track_id),
        trial=trial,
        on_worker=on_worker,
        not_on=tuple(filter(None, not_on.split(","))),
    )


def _row(session: Session, key: str) -> InterpreterRow | InterpreterTrial | None:
    row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == key)).one_or_none()
    return row or session.scalars(select(InterpreterTrial).where(InterpreterTrial.key == key)).one_or_none()


def _due(session: Session, row: InterpreterRow | InterpreterTrial) -> None:
    """Have what ended judged (`incidents.trunk`)."""
    ended = session.get_one(InterpreterRow, row.subject_id) if isinstance(row, InterpreterTrial) else row
    ended.judged = DUE


@dataclass(frozen=True, slots=True)
class ClaimedInterpreter:
    """An interpreter that a worker may begin."""

    wanted: WantedInterpreter
    attempts: int


def claim(
    session: Session, key: str, worker: str, build: int, began: datetime, now: datetime
) -> ClaimedInterpreter | None:
    """Take the work on the interpreter *key* for *worker*; None where it is finished, or superseded.

    An attempt that ended with an earlier life of the master (before *began*) was nobody's failure: it is not
    counted.
    """
    row = _row(session, key)
    if row is None or row.state == "finished":
        return None
    if row.state != "running" or row.started_at is None or row.started_at >= began:
        row.attempts += 1
    row.state, row.worker, row.buildbot_build, row.started_at = "running", worker, build, now
    return ClaimedInterpreter(_wanted(session, row), row.attempts)


def release(session: Session, key: str, maximum_attempts: int, now: datetime) -> bool:
    """Put the interpreter *key* back to be wanted after a pause, while attempts remain; False where none do."""
    row = _row(session, key)
    if row is None or row.state != "running" or row.attempts >= maximum_attempts:
        return False
    # A machine without room or network is not mended at once: each pause is longer than the one before.
    row.state, row.wanted_at = "wanted", now + row.attempts**2 * FIRST_PAUSE
    return True


def finish(session: Session, result: InterpreterResult, now: datetime, added_bytes: int = 0) -> bool:
    """Save how the interpreter ended, with its artifact, for which the store grew by *added_bytes*.

    False where it had ended before.
    """
    row = _row(session, result.key)
    if row is None or row.state == "finished":
        return False
    row.state, row.status, row.finished_at = "finished", result.status.value, now
    row.seconds, row.detail, row.log_tail = result.seconds, result.detail, result.log_tail
    _due(session, row)
    if isinstance(row, InterpreterTrial):
        return True
    row.clean_build, row.fell_back = result.clean_build, result.fell_back
    row.phases = json.dumps([phase.model_dump() for phase in result.phases])
    row.proof = result.proof.model_dump_json() if result.proof else ""
    if result.status is InterpreterStatus.PROVEN and result.artifact is not None:
        row.artifact_id = _artifact_row(session, result.artifact, now, added_bytes).id
    return True


def _artifact_row(session: Session, artifact: Artifact, now: datetime, added_bytes: int) -> ArtifactRow:
    row = session.scalars(select(ArtifactRow).where(ArtifactRow.digest == artifact.digest)).one_or_none()
    if row is None:
        row = ArtifactRow(digest=artifact.digest, added_bytes=0)
        session.add(row)
    if added_bytes:  # else it, or all that it consists of, was there before
        row.added_bytes = added_bytes
    row.tree_bytes, row.stored_at, row.removed_at = artifact.tree_bytes, now, None
    session.flush()
    return row


def finish_without_result(session: Session, key: str, status: str, detail: str, now: datetime) -> bool:
    """Save that the interpreter *key* ended and no worker said how; False where it had ended before."""
    row = _row(session, key)
    if row is None or row.state == "finished":
        return False
    row.state, row.status, row.detail, row.finished_at = "finished", status, detail[:500], now
    _due(session, row)
    return True


def want_again(session: Session, row: InterpreterRow, now: datetime) -> None:
    """Have an interpreter built again, whose artifact is no longer in the store; nothing where that is asked for."""
    if row.state == "finished" and row.status == InterpreterStatus.PROVEN.value:
        row.state, row.wanted_at, row.attempts = "wanted", now, 0
        session.flush()


def mark_requested(session: Session, keys: Iterable[str]) -> None:
    """Note that Buildbot has been asked for the interpreters *keys*."""
    rows = session.scalars(
        select(InterpreterRow).where(InterpreterRow.key.in_(list(keys)), InterpreterRow.state == "wanted")
    )
    trials = session.scalars(
        select(InterpreterTrial).where(
            InterpreterTrial.key.in_(list(keys)), InterpreterTrial.state == "wanted"
        )
    )
    for row in (*rows, *trials):
        row.state = "requested"


def newest_proven_on(session: Session, name: TrackName) -> InterpreterRow | None:
    """Return the newest proven interpreter on the track *name*, None also where there is no such track yet."""
    track_id = session.scalar(
        select(Track.id)
        .join(Branch, Branch.id == Track.branch_id)
        .where(Branch.name == name.branch, Track.variant == name.variant, Track.platform == name.platform)
    )
    return None if track_id is None else newest_proven(session, track_id)


def newest_proven(session: Session, track_id: int) -> InterpreterRow | None:
    """Return the newest interpreter on a track that was proven, with an artifact."""
    return session.scalars(
        select(InterpreterRow)
        .where(
            InterpreterRow.track_id == track_id,
            InterpreterRow.status == InterpreterStatus.PROVEN.value,
            InterpreterRow.artifact_id.is_not(None),
        )
        .order_by(InterpreterRow.position.desc())
        .limit(1)
    ).one_or_none()
