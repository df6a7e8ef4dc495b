"""Reads incidents as facts: what `pybots incident`, the replay and the page say of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    PLACES_PER_COMMIT,
    Branch,
    BranchCommit,
    Commit,
    IncidentMember,
    IncidentRow,
    IncidentTransition,
    ProjectRow,
    TestRow,
    Track,
    VerdictRow,
)
from pybots.incidents.states import OPEN
from pybots.interpreters.plan import TrackName


@dataclass(frozen=True, slots=True)
class Culprit:
    """The change that made the difference."""

    kind: str
    """`commit`, `dependency` or `project`."""
    commit: str
    confidence: float
    verified: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """What became of an incident, who said so, and on what evidence."""

    at: datetime
    what: str
    state_before: str
    state: str
    who: str
    reason: str
    evidence: tuple[str, ...]
    """Keys of runs and interpreters."""


@dataclass(frozen=True, slots=True)
class Member:
    """One item on one track that shows an incident, or did."""

    project: str | None
    """None for the trunk's own."""
    test: str | None
    """None for the run (or the interpreter) as a whole."""
    track: str
    first_bad: int
    """The position on the branch at which it was first seen."""
    fixed_at: int | None
    """The position from which on it is well; None while it is not."""
    surfaced: str
    surfaced_in: str
    chance: float | None
    """The probability that what was seen is chance; None for the trunk's own."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident with everything that is known of it."""

    id: int
    title: str
    project: str | None
    """Whose run showed it first; None for the trunk's own."""
    members: tuple[str, ...]
    """The projects that show it, or did."""
    kind: str
    cause: str
    axes: tuple[str, ...]
    tests: tuple[str, ...]
    signature: str
    tracks: tuple[str, ...]
    branch: str
    state: str
    last_good: str | None
    """A commit: the last at which all was well; None where none is known."""
    first_bad: str | None
    culprit: Culprit | None
    reason: str
    reproduce: str
    """The command that shows it again."""
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    acknowledged_by: str
    muted_until: datetime | None
    upstream: str
    items: tuple[Member, ...]
    transitions: tuple[Transition, ...]

    @property
    def open(self) -> bool:
        """True while somebody may have to act."""
        return self.state in OPEN


def incidents(session: Session, *, only_open: bool = False, limit: int | None = None) -> list[Incident]:
    """Return incidents, the oldest first; of more than *limit* the newest."""
    where = [IncidentRow.state.in_([state.value for state in OPEN])] if only_open else []
    newest = select(IncidentRow).where(*where).order_by(IncidentRow.id.desc()).limit(limit)
    return [_incident(session, row) for row in list(session.scalars(newest))[::-1]]


def incident(session: Session, number: int) -> Incident | None:
    """Return the incident with the number *number*, or None."""
    row = session.get(IncidentRow, number)
    return None if row is None else _incident(session, row)


def reproduce_command(number: int) -> str:
    """Return the command that shows incident *number* again, on any machine."""
    return f"pybots reproduce {number}"


def _incident(session: Session, row: IncidentRow) -> Incident:
    items = tuple(_members(session, row))
    project = session.get(ProjectRow, row.project_id) if row.project_id is not None else None
    return Incident(
        id=row.id,
        title=row.title,
        project=project.name if project else None,
        members=_each(item.project for item in items),
        kind=row.kind,
        cause=row.cause,
        axes=tuple(row.axes.split(",")) if row.axes else (),
        tests=_each(item.test for item in items),
        signature=row.signature,
        tracks=_each(item.track for item in items),
        branch=session.get_one(Branch, row.branch_id).name,
        state=row.state,
        last_good=_commit(session, row.branch_id, row.last_good_position),
        first_bad=_commit(session, row.branch_id, row.first_bad_position),
        culprit=None,
        reason=row.reason,
        reproduce=reproduce_command(row.id),
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        closed_at=row.closed_at,
        acknowledged_by=row.acknowledged_by,
        muted_until=row.muted_until,
        upstream=row.upstream,
        items=items,
        transitions=tuple(_transitions(session, row.id)),
    )


def _each(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _members(session: Session, row: IncidentRow) -> Iterable[Member]:
    found = session.execute(
        select(IncidentMember, ProjectRow.name, TestRow.name, Branch.name, Track, VerdictRow)
        .join(Track, Track.id == IncidentMember.track_id)
        .join(Branch, Branch.id == Track.branch_id)
        .outerjoin(ProjectRow, ProjectRow.id == IncidentMember.project_id)
        .outerjoin(TestRow, TestRow.id == IncidentMember.test_id)
        .outerjoin(VerdictRow, VerdictRow.id == IncidentMember.verdict_id)
        .where(IncidentMember.incident_id == row.id)
        .order_by(IncidentMember.id)
    )
    for member, project, test, branch, track, verdict in found:
        yield Member(
            project=project,
            test=test,
            track=str(TrackName(branch, track.variant, track.platform)),
            first_bad=member.first_place // PLACES_PER_COMMIT,
            fixed_at=None if member.fixed_place is None else member.fixed_place // PLACES_PER_COMMIT,
            surfaced=verdict.surfaced if verdict else "",
            surfaced_in=verdict.surfaced_in if verdict else "",
            chance=verdict.chance if verdict else None,
        )


def _transitions(session: Session, number: int) -> Iterable[Transition]:
    rows = session.scalars(
        select(IncidentTransition)
        .where(IncidentTransition.incident_id == number)
        .order_by(IncidentTransition.id)
    )
    for row in rows:
        evidence = tuple(json.loads(row.evidence))
        yield Transition(row.at, row.what, row.state_before, row.state, row.who, row.reason, evidence)


def _commit(session: Session, branch_id: int, at: int | None) -> str | None:
    if at is None:
        return None
    return session.scalar(
        select(Commit.sha)
        .join(BranchCommit, BranchCommit.commit_id == Commit.id)
        .where(BranchCommit.branch_id == branch_id, BranchCommit.position == at)
    )
