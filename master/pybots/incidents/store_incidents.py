"""Saves what verdicts make of incidents: opened, joined, come back, closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    ComparisonRow,
    IncidentMember,
    IncidentRow,
    RunRow,
    VerdictRow,
)
from pybots.incidents.fault import many
from pybots.incidents.join import Belonging, Known, Sighting, choose, taken_in
from pybots.incidents.states import Event, State
from pybots.incidents.store_described import describe
from pybots.incidents.store_ends import settle
from pybots.incidents.store_evidence import Evidence, evidence_of
from pybots.incidents.store_known import known_incidents, save_ranges
from pybots.incidents.store_sighted import Sighted, sighted
from pybots.incidents.store_transitions import Because, happened, raise_to
from pybots.results.store_run import is_newest
from pybots.runs.status import Role
from pybots.verdicts.verdict import CLAIMS, Cause

MANY = 10
"""What a comparison finds beyond so many incidents of one cause is one more: the texts tell nothing apart."""


@dataclass(slots=True)
class _Group:
    """The verdicts of one comparison that have one fault."""

    all: list[Sighted]
    sighting: Sighting
    found: tuple[Known, Belonging] | None = None

    @property
    def first(self) -> Sighted:
        return self.all[0]


def apply_verdicts(session: Session, comparison: ComparisonRow, now: datetime) -> list[int]:
    """Have each verdict of *comparison* that says whose it is open or join an incident; return which, by number.

    To be called in the transaction in which verdicts are saved (and flushed). A verdict that has its incident already
    is passed over, so that it may be called again.
    """
    verdicts = _new_claims(session, comparison)
    if not verdicts:
        return []
    evidence = evidence_of(session, verdicts)
    groups = _groups(session, comparison, sighted(session, comparison, verdicts))
    touched = {}
    for group in groups:
        incident = _take_in(session, comparison, group, evidence, now)
        touched[incident.id] = incident
    for incident in touched.values():
        describe(session, incident)
        # A track that is late may tell of what later runs have shown to be fixed.
        settle(session, incident, _open_members(session, incident), now)
    return list(touched)


def _groups(session: Session, comparison: ComparisonRow, seen: Sequence[Sighted]) -> list[_Group]:
    """All verdicts of a comparison have one range: what the first of a fault joins, the others of it join too."""
    by_fault: dict[Sighting, _Group] = {}
    for one in seen:
        by_fault.setdefault(one.sighting, _Group([], one.sighting)).all.append(one)
    groups = list(by_fault.values())
    _find(session, groups)
    for cause in CLAIMS:
        new = [group for group in groups if group.found is None and group.sighting.cause is cause]
        if new and _opened(session, comparison, cause) + len(new) > MANY:
            merged = _merged(new)
            _find(session, [merged])
            groups = [*(group for group in groups if group not in new), merged]
    return groups


def _opened(session: Session, comparison: ComparisonRow, cause: Cause) -> int:
    """Return how many incidents the comparison's verdicts have so far."""
    own = select(func.count(VerdictRow.incident_id.distinct())).where(
        VerdictRow.comparison_id == comparison.id, VerdictRow.cause == cause.value
    )
    return session.scalar(own) or 0


def _merged(groups: Sequence[_Group]) -> _Group:
    first = groups[0]
    sighting = replace(first.sighting, fault=many(first.first.project, first.sighting.cause))
    return _Group([one for group in groups for one in group.all], sighting)


def _find(session: Session, groups: Sequence[_Group]) -> None:
    sightings = [group.sighting for group in groups]
    known = known_incidents(session, groups[0].first.branch_id, sightings)
    for group in groups:
        group.found = choose(group.sighting, known.get((group.sighting.cause, group.sighting.fault), ()))


def after_subject(session: Session, run: RunRow, now: datetime) -> list[int]:
    """Close, or open again, what the finished subject *run* of a project says of; return which incidents changed.

    To be called in the transaction in which the run and its outcomes are saved, however it ended. What breaks again is
    not opened by the run itself, but by the verdict that comes of it: a single run proves nothing.
    """
    if run.role != Role.SUBJECT:
        return []
    members = _members_on(session, run, late=not is_newest(session, run))
    changed = []
    for number in dict.fromkeys(member.incident_id for member in members):
        incident = session.get_one(IncidentRow, number)
        own = [member for member in members if member.incident_id == number]
        if settle(session, incident, own, now):
            changed.append(number)
    return changed


def _new_claims(session: Session, comparison: ComparisonRow) -> Sequence[VerdictRow]:
    """The representative of a cluster comes before the others."""
    return session.scalars(
        select(VerdictRow)
        .where(VerdictRow.comparison_id == comparison.id, VerdictRow.incident_id.is_(None))
        .where(VerdictRow.decided_at.is_not(None), VerdictRow.cause.in_([cause.value for cause in CLAIMS]))
        .order_by(VerdictRow.representative_id.is_not(None), VerdictRow.id)
    ).all()


def _take_in(
    session: Session,
    comparison: ComparisonRow,
    group: _Group,
    evidence: Mapping[int, Evidence],
    now: datetime,
) -> IncidentRow:
    because = _because(group.first, evidence)
    if group.found is None:
        incident = _open(session, comparison, group, because, now)
    else:
        incident = _join(session, group, because, now)
    for one in group.all:
        one.verdict.incident_id = incident.id
    _add_members(session, comparison, incident, group)
    strongest = max(group.all, key=lambda one: _ORDER.index(evidence[one.verdict.id].good_for))
    good_for = evidence[strongest.verdict.id].good_for
    raise_to(session, incident, good_for, _because(strongest, evidence), now)
    return incident


_ORDER = list(State)


def _open(
    session: Session, comparison: ComparisonRow, group: _Group, because: Because, now: datetime
) -> IncidentRow:
    verdict, sighting = group.first.verdict, group.sighting
    incident = IncidentRow(
        kind=verdict.kind,
        project_id=comparison.project_id,
        branch_id=group.first.branch_id,
        cause=verdict.cause,
        axes=verdict.axes,
        title="",
        reason=group.first.reason,
        signature=verdict.signature,
        fault=sighting.fault,
        last_good_position=sighting.range.last_good,
        first_bad_position=sighting.range.first_bad,
        state=State.SUSPECTED.value,
        opened_at=now,
        changed_at=now,
    )
    session.add(incident)
    session.flush()
    happened(session, incident, Event.OPENED, because, now)
    return incident


def _join(session: Session, group: _Group, because: Because, now: datetime) -> IncidentRow:
    assert group.found is not None
    known, how = group.found
    incident = session.get_one(IncidentRow, known.id)
    save_ranges(incident, taken_in(group.sighting, known, how))
    if how is Belonging.AGAIN:
        # Its cause may be settled otherwise this time.
        incident.axes, incident.reason = group.first.verdict.axes, group.first.reason
    event = Event.REOPENED if incident.state == State.FIXED else Event.JOINED
    happened(session, incident, event, because, now)
    return incident


def _because(seen: Sighted, evidence: Mapping[int, Evidence]) -> Because:
    keys = evidence[seen.verdict.id].keys
    runs = [seen.subject_key, *([seen.baseline_key] if seen.baseline_key else []), *keys]
    return Because(f"{seen.what}: {seen.verdict.reason}", runs)


def _add_members(session: Session, comparison: ComparisonRow, incident: IncidentRow, group: _Group) -> None:
    """Add the items, but for those that show the incident already on their track."""
    same = select(IncidentMember.test_id).where(
        IncidentMember.incident_id == incident.id,
        IncidentMember.track_id == comparison.track_id,
        IncidentMember.project_id == comparison.project_id,
        IncidentMember.fixed_place.is_(None),
    )
    there = set(session.scalars(same))
    session.add_all(
        IncidentMember(
            incident_id=incident.id,
            track_id=comparison.track_id,
            project_id=comparison.project_id,
            test_id=one.verdict.test_id,
            verdict_id=one.verdict.id,
            first_place=one.place,
        )
        for one in group.all
        if one.verdict.test_id not in there
    )
    session.flush()


def _open_members(session: Session, incident: IncidentRow) -> list[IncidentMember]:
    return list(
        session.scalars(
            select(IncidentMember).where(
                IncidentMember.incident_id == incident.id, IncidentMember.fixed_place.is_(None)
            )
        )
    )


def _members_on(session: Session, run: RunRow, *, late: bool) -> list[IncidentMember]:
    """Return the members that *run* may say something of; a late one may also undo an end that came after it."""
    found = (
        select(IncidentMember)
        .where(IncidentMember.project_id == run.project_id, IncidentMember.track_id == run.track_id)
        .where(IncidentMember.first_place <= run.place)
        .order_by(IncidentMember.id)
    )
    return list(session.scalars(found if late else found.where(IncidentMember.fixed_place.is_(None))))
