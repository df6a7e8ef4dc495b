"""Saves what verdicts make of incidents: opened, joined, come back, closed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    ComparisonRow,
    IncidentMember,
    IncidentRow,
    RunRow,
    VerdictRow,
)
from pybots.incidents.join import Belonging, Known, choose, taken_in
from pybots.incidents.states import Event, State
from pybots.incidents.store_described import describe
from pybots.incidents.store_ends import settle
from pybots.incidents.store_evidence import Evidence, evidence_of
from pybots.incidents.store_known import known_incidents, save_ranges
from pybots.incidents.store_sighted import Sighted, sighted
from pybots.incidents.store_transitions import Because, happened, raise_to
from pybots.results.store_run import is_newest
from pybots.runs.status import Role
from pybots.verdicts.verdict import CLAIMS


def apply_verdicts(session: Session, comparison: ComparisonRow, now: datetime) -> list[int]:
    """Have each verdict of *comparison* that says whose it is open or join an incident; return which, by number.

    To be called in the transaction in which verdicts are saved (and flushed). A verdict that has its incident already
    is passed over, so that it may be called again.
    """
    by_fault: dict[tuple[str, str], IncidentRow] = {}
    for verdict in _new_claims(session, comparison):
        seen = sighted(session, comparison, verdict)
        same = (seen.sighting.cause.value, seen.sighting.fault)
        # All verdicts of a comparison have one range: what the first joins, the others of its fault join too.
        by_fault[same] = _take_in(session, seen, by_fault.get(same), now)
    touched = {incident.id: incident for incident in by_fault.values()}
    for incident in touched.values():
        describe(session, incident)
        # A track that is late may tell of what later runs have shown to be fixed.
        settle(session, incident, _open_members(session, incident), now)
    return list(touched)


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


def _new_claims(session: Session, comparison: ComparisonRow) -> Iterable[VerdictRow]:
    """The representative of a cluster comes before the others."""
    return session.scalars(
        select(VerdictRow)
        .where(VerdictRow.comparison_id == comparison.id, VerdictRow.incident_id.is_(None))
        .where(VerdictRow.decided_at.is_not(None), VerdictRow.cause.in_([cause.value for cause in CLAIMS]))
        .order_by(VerdictRow.representative_id.is_not(None), VerdictRow.id)
    ).all()


def _take_in(session: Session, seen: Sighted, incident: IncidentRow | None, now: datetime) -> IncidentRow:
    evidence = evidence_of(session, seen.verdict)
    because = _because(seen, evidence)
    if incident is None:
        found = choose(seen.sighting, known_incidents(session, seen.branch_id, seen.sighting))
        incident = _join(session, seen, because, *found, now) if found else _open(session, seen, because, now)
    seen.verdict.incident_id = incident.id
    _add_member(session, incident, seen)
    raise_to(session, incident, evidence.good_for, because, now)
    return incident


def _open(session: Session, seen: Sighted, because: Because, now: datetime) -> IncidentRow:
    verdict, sighting = seen.verdict, seen.sighting
    incident = IncidentRow(
        kind=verdict.kind,
        project_id=seen.project_id,
        branch_id=seen.branch_id,
        cause=verdict.cause,
        axes=verdict.axes,
        title="",
        reason=seen.reason,
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


def _join(
    session: Session, seen: Sighted, because: Because, known: Known, how: Belonging, now: datetime
) -> IncidentRow:
    incident = session.get_one(IncidentRow, known.id)
    save_ranges(incident, taken_in(seen.sighting, known, how))
    if how is Belonging.AGAIN:
        # Its cause may be settled otherwise this time.
        incident.axes, incident.reason = seen.verdict.axes, seen.reason
    event = Event.REOPENED if incident.state == State.FIXED else Event.JOINED
    happened(session, incident, event, because, now)
    return incident


def _because(seen: Sighted, evidence: Evidence) -> Because:
    runs = [seen.subject_key, *([seen.baseline_key] if seen.baseline_key else []), *evidence.keys]
    return Because(f"{seen.what}: {seen.verdict.reason}", runs)


def _add_member(session: Session, incident: IncidentRow, seen: Sighted) -> None:
    """Add the item, unless it is one that shows the incident already."""
    same = session.scalar(
        select(IncidentMember.id).where(
            IncidentMember.incident_id == incident.id,
            IncidentMember.track_id == seen.track_id,
            IncidentMember.project_id == seen.project_id,
            IncidentMember.test_id.is_(None)
            if seen.verdict.test_id is None
            else IncidentMember.test_id == seen.verdict.test_id,
            IncidentMember.fixed_place.is_(None),
        )
    )
    if same is None:
        session.add(
            IncidentMember(
                incident_id=incident.id,
                track_id=seen.track_id,
                project_id=seen.project_id,
                test_id=seen.verdict.test_id,
                verdict_id=seen.verdict.id,
                first_place=seen.place,
            )
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
