"""Talks to the results database about artifacts: which ones something rests on, which ones were taken out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pybots.database.tables import ArtifactRow, Commit, ComparisonRow, InterpreterRow, RunRow
from pybots.interpreters.retention import GRACE, Reason
from pybots_worker.contract import InterpreterStatus

AT_ONCE = 500


def roots(
    session: Session, *, kept_commits: Sequence[str] = (), incidents: Iterable[str] = ()
) -> dict[str, Reason]:
    """Return the digests that something rests on.

    These are what unfinished runs, interpreters and comparisons refer to, the newest proven interpreter of every
    track, the newest on which each project was run to the end, the *incidents*' (digests), those of releases, and those
    of *kept_commits* (beginnings of shas).
    """
    found: dict[str, Reason] = {}
    for reason, digests in (
        (Reason.RELEASE, _of_commits(session, kept_commits)),
        (Reason.INCIDENT, incidents),
        (Reason.LAST_GOOD, _last_good(session)),
        (Reason.IN_USE, _in_use(session)),
    ):
        found.update(dict.fromkeys(digests, reason))
    return found


def in_store(session: Session) -> dict[str, datetime]:
    """Return the digests that the database believes to be in the store, with when each was stored last."""
    rows = session.execute(
        select(ArtifactRow.digest, ArtifactRow.stored_at).where(ArtifactRow.removed_at.is_(None))
    )
    return {row.digest: row.stored_at for row in rows}


def mark_removed(session: Session, digests: Collection[str], now: datetime) -> set[str]:
    """Note that artifacts are no longer in the store; return those that were not stored again meanwhile."""
    marked: set[str] = set()
    ordered = sorted(digests)
    for start in range(0, len(ordered), AT_ONCE):
        rows = session.scalars(
            select(ArtifactRow).where(
                ArtifactRow.digest.in_(ordered[start : start + AT_ONCE]), ArtifactRow.stored_at <= now - GRACE
            )
        )
        for row in rows:
            row.removed_at = row.removed_at or now
            marked.add(row.digest)
    return marked


def known(session: Session) -> set[str]:
    """Return every digest that the database has a row for, in the store or not."""
    return set(session.scalars(select(ArtifactRow.digest)))


def _in_use(session: Session) -> Iterable[str]:
    open_runs = select(RunRow.interpreter_id).where(RunRow.state != "finished")
    # What came in and was not compared yet may want its baseline, the last good one, a moment later.
    comparisons = select(ComparisonRow).where(ComparisonRow.state != "closed").subquery()
    subjects = select(RunRow.interpreter_id).where(
        or_(RunRow.compared == "due", RunRow.id.in_(select(comparisons.c.subject_id)))
    )
    used = (open_runs, subjects, select(comparisons.c.baseline_interpreter_id))
    return session.scalars(
        select(ArtifactRow.digest)
        .join(InterpreterRow, InterpreterRow.artifact_id == ArtifactRow.id)
        .where(or_(InterpreterRow.state != "finished", *(InterpreterRow.id.in_(numbers) for numbers in used)))
        .distinct()
    )


def _last_good(session: Session) -> Iterable[str]:
    proven = (
        select(InterpreterRow.track_id, func.max(InterpreterRow.position).label("position"))
        .where(
            InterpreterRow.status == InterpreterStatus.PROVEN.value, InterpreterRow.artifact_id.is_not(None)
        )
        .group_by(InterpreterRow.track_id)
        .subquery()
    )
    yield from session.scalars(
        select(ArtifactRow.digest)
        .join(InterpreterRow, InterpreterRow.artifact_id == ArtifactRow.id)
        .join(
            proven,
            (proven.c.track_id == InterpreterRow.track_id) & (proven.c.position == InterpreterRow.position),
        )
    )
    complete = (
        select(RunRow.project_id, RunRow.track_id, func.max(RunRow.place).label("place"))
        .where(RunRow.complete, RunRow.role == "subject")
        .group_by(RunRow.project_id, RunRow.track_id)
        .subquery()
    )
    yield from session.scalars(
        select(ArtifactRow.digest)
        .join(InterpreterRow, InterpreterRow.artifact_id == ArtifactRow.id)
        .join(RunRow, RunRow.interpreter_id == InterpreterRow.id)
        .join(
            complete,
            (complete.c.project_id == RunRow.project_id)
            & (complete.c.track_id == RunRow.track_id)
            & (complete.c.place == RunRow.place),
        )
    )


def _of_commits(session: Session, commits: Sequence[str]) -> Iterable[str]:
    beginnings = [Commit.sha.startswith(commit, autoescape=True) for commit in commits]
    return session.scalars(
        select(ArtifactRow.digest)
        .join(InterpreterRow, InterpreterRow.artifact_id == ArtifactRow.id)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .where(or_(Commit.release != "", *beginnings))
    )
