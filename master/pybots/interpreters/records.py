"""Talks to the results database about interpreters: what is wanted, under way, finished, inherited."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pybots.commits.select import Selection
from pybots.database.tables import ArtifactRow, Branch, BranchCommit, Commit, InterpreterRow, Track
from pybots.interpreters.plan import TrackName, interpreter_key
from pybots_worker.contract import InterpreterResult, InterpreterStatus

INHERITED = "inherited"
LOST = "worker-lost"
CANCELLED = "cancelled"
FIRST_PAUSE = timedelta(seconds=30)
"""Before the second attempt at what failed for the farm's own reasons; four times as long before the third."""


@dataclass(frozen=True, slots=True)
class WantedInterpreter:
    """An interpreter that the dispatcher has to ask Buildbot for."""

    key: str
    commit: str
    track: TrackName


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


def want(session: Session, tracks: Iterable[TrackName], new_from: int | None, now: datetime) -> list[str]:
    """Make the rows that the selections of each track's branch call for; return the keys newly wanted.

    *new_from* is the position of the first commit that this round took in, None where it took in none. What
    a track missed before that (it is new, or was away) is not made up for: its newest commit alone is built.

    A commit to be built becomes a want; one that inherits gets a row of its own that points to its parent's
    interpreter, or to the one that the parent inherits from. What is there already stays as it is.
    """
    wanted: list[str] = []
    for name in tracks:
        track = track_row(session, name)
        wanted += _want_on_track(session, name, track, new_from, now)
    return wanted


def _want_on_track(
    session: Session, name: TrackName, track: Track, new_from: int | None, now: datetime
) -> list[str]:
    known = select(InterpreterRow.commit_id).where(InterpreterRow.track_id == track.id)
    missing = session.execute(
        select(BranchCommit.position, BranchCommit.selection, Commit)
        .join(Commit, Commit.id == BranchCommit.commit_id)
        .where(
            BranchCommit.branch_id == track.branch_id,
            BranchCommit.selection.in_([Selection.BUILD, Selection.INHERIT]),
            BranchCommit.commit_id.not_in(known),
        )
        .order_by(BranchCommit.position)
    ).all()
    start = _first_position([(row[0], row[1]) for row in missing], new_from)
    wanted = []
    for position, selection, commit in missing:
        if position < start:
            continue
        row = InterpreterRow(
            key=interpreter_key(name, commit.sha),
            track_id=track.id,
            commit_id=commit.id,
            position=position,
            state="wanted",
            wanted_at=now,
        )
        if selection == Selection.INHERIT:
            _inherit(session, row, now)
        else:
            wanted.append(row.key)
        session.add(row)
        session.flush()
    return wanted


def _first_position(missing: Sequence[tuple[int, str]], new_from: int | None) -> int:
    """Return the position from which on *missing* commits (with their selections, in order) are made rows."""
    builds = [position for position, selection in missing if selection == Selection.BUILD]
    newest = builds[-1] if builds else 0
    return newest if new_from is None else min(new_from, newest)


def _inherit(session: Session, row: InterpreterRow, now: datetime) -> None:
    # The first parent alone: what an older interpreter did says nothing where the parent was not built.
    own = session.get_one(Commit, row.commit_id)
    parent = session.scalars(
        select(InterpreterRow)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .where(InterpreterRow.track_id == row.track_id, Commit.sha == own.parent_sha)
    ).one_or_none()
    row.state, row.status, row.finished_at = "finished", INHERITED, now
    if parent is not None:
        row.inherited_from_id = parent.inherited_from_id if parent.status == INHERITED else parent.id


def waiting(session: Session, branch: str) -> int:
    """Return how many commits of *branch* still wait for, or are in, a build."""
    return (
        session.scalar(
            select(func.count(func.distinct(InterpreterRow.commit_id)))
            .join(Track, Track.id == InterpreterRow.track_id)
            .join(Branch, Branch.id == Track.branch_id)
            .where(Branch.name == branch, InterpreterRow.state != "finished")
        )
        or 0
    )


def in_state(
    session: Session, states: Sequence[str], platforms: Sequence[str], now: datetime, limit: int
) -> list[WantedInterpreter]:
    """Return at most *limit* interpreters in one of *states* on *platforms* that are due *now*, in order."""
    rows = session.execute(
        select(InterpreterRow.key, InterpreterRow.track_id, Commit.sha)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .join(Track, Track.id == InterpreterRow.track_id)
        .where(
            InterpreterRow.state.in_(states), Track.platform.in_(platforms), InterpreterRow.wanted_at <= now
        )
        .order_by(InterpreterRow.id)
        .limit(limit)
    ).all()
    return [WantedInterpreter(key, sha, track_name(session, track_id)) for key, track_id, sha in rows]


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
    row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == key)).one_or_none()
    if row is None or row.state == "finished":
        return None
    if row.state != "running" or row.started_at is None or row.started_at >= began:
        row.attempts += 1
    row.state, row.worker, row.buildbot_build, row.started_at = "running", worker, build, now
    commit = session.get_one(Commit, row.commit_id)
    wanted = WantedInterpreter(key, commit.sha, track_name(session, row.track_id))
    return ClaimedInterpreter(wanted, row.attempts)


def release(session: Session, key: str, maximum_attempts: int, now: datetime) -> bool:
    """Put the interpreter *key* back to be wanted after a pause, while attempts remain; False where none do."""
    row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == key)).one_or_none()
    if row is None or row.state != "running" or row.attempts >= maximum_attempts:
        return False
    # A machine without room or network is not mended at once: each pause is longer than the one before.
    row.state, row.wanted_at = "wanted", now + row.attempts**2 * FIRST_PAUSE
    return True


def supersede(session: Session, branch: str, before: int) -> int:
    """Take back what waits on *branch* for commits before the position *before*; return how many commits.

    They are then not built, like commits that were never selected; what inherits from them inherits nothing.
    """
    branch_id = session.scalars(select(Branch.id).where(Branch.name == branch)).one()
    waiting_rows = session.scalars(
        select(InterpreterRow)
        .join(Track, Track.id == InterpreterRow.track_id)
        .where(
            Track.branch_id == branch_id,
            InterpreterRow.position < before,
            InterpreterRow.state.in_(["wanted", "requested"]),
        )
    ).all()
    commits = {row.commit_id for row in waiting_rows}
    ids = [row.id for row in waiting_rows]
    session.execute(
        update(InterpreterRow).where(InterpreterRow.inherited_from_id.in_(ids)).values(inherited_from_id=None)
    )
    for row in waiting_rows:
        session.delete(row)
    session.flush()
    begun = set(
        session.scalars(
            select(InterpreterRow.commit_id)
            .join(Track, Track.id == InterpreterRow.track_id)
            .where(Track.branch_id == branch_id, InterpreterRow.commit_id.in_(commits))
        )
    )
    session.execute(
        update(BranchCommit)
        .where(BranchCommit.branch_id == branch_id, BranchCommit.commit_id.in_(commits - begun))
        .values(selection=Selection.NOT_BUILT)
    )
    return len(commits)


def finish(session: Session, result: InterpreterResult, now: datetime) -> bool:
    """Save how the interpreter ended, with its artifact; False where it had ended before."""
    row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == result.key)).one_or_none()
    if row is None or row.state == "finished":
        return False
    row.state, row.status, row.finished_at = "finished", result.status.value, now
    row.seconds, row.detail, row.log_tail = result.seconds, result.detail, result.log_tail
    row.clean_build, row.fell_back = result.clean_build, result.fell_back
    row.phases = json.dumps([phase.model_dump() for phase in result.phases])
    row.proof = result.proof.model_dump_json() if result.proof else ""
    if result.status is InterpreterStatus.PROVEN and result.artifact is not None:
        row.artifact_id = _artifact_row(session, result, now).id
    return True


def _artifact_row(session: Session, result: InterpreterResult, now: datetime) -> ArtifactRow:
    artifact = result.artifact
    assert artifact is not None
    row = session.scalars(select(ArtifactRow).where(ArtifactRow.digest == artifact.digest)).one_or_none()
    if row is None:
        row = ArtifactRow(digest=artifact.digest)
        session.add(row)
    # The same content packed again may compress differently: the row says what lies in the store.
    row.archive_sha256, row.archive_bytes = artifact.archive_sha256, artifact.archive_bytes
    row.tree_bytes, row.stored_at = artifact.tree_bytes, now
    session.flush()
    return row


def finish_without_result(session: Session, key: str, status: str, detail: str, now: datetime) -> bool:
    """Save that the interpreter *key* ended and no worker said how; False where it had ended before."""
    row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == key)).one_or_none()
    if row is None or row.state == "finished":
        return False
    row.state, row.status, row.detail, row.finished_at = "finished", status, detail[:500], now
    return True


def mark_requested(session: Session, keys: Iterable[str]) -> None:
    """Note that Buildbot has been asked for the interpreters *keys*."""
    rows = session.scalars(
        select(InterpreterRow).where(InterpreterRow.key.in_(list(keys)), InterpreterRow.state == "wanted")
    )
    for row in rows:
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
