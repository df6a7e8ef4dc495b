"""Talks to the results database about what a branch's commits call for: wants made, inherited, taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pybots.commits.select import Selection
from pybots.database.tables import Branch, BranchCommit, Commit, InterpreterRow, Track
from pybots.interpreters.plan import TrackName, interpreter_key
from pybots.interpreters.records import INHERITED, track_row


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
            # What had ended, and is built again, is what runs and incidents rest on.
            InterpreterRow.finished_at.is_(None),
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
