"""Saves the trunk's own incidents: interpreters that are not made any more, and when they are made again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    PLACES_PER_COMMIT,
    Branch,
    IncidentMember,
    IncidentRow,
    InterpreterRow,
    Track,
)
from pybots.incidents.join import Belonging, Known, Range, Sighting, choose, taken_in
from pybots.incidents.states import OPEN, Event, State
from pybots.incidents.store_known import known_of, save_ranges
from pybots.incidents.store_transitions import Because, happened, raise_to
from pybots.incidents.title import TRUNK, trunk_title
from pybots.incidents.trunk import same_trouble
from pybots.interpreters.records import track_name
from pybots.verdicts.error_lines import build_errors
from pybots.verdicts.evidence import Axis
from pybots.verdicts.verdict import Cause
from pybots_worker.contract import InterpreterStatus


def belongs(session: Session, row: InterpreterRow, now: datetime) -> bool:
    """Have an interpreter that was not made join the incident that tells of it, if there is one.

    What has come back is no part of one yet: it is tried like anything new.
    """
    good = last_good(session, row)
    found = _choose(session, row, Range(good.position if good else None, row.position))
    if found is None or found[1] is Belonging.AGAIN:
        return False
    _join(session, row, *found, Because(f"{row.key}: {row.status}", [row.key]), now)
    return True


def claim(
    session: Session,
    row: InterpreterRow,
    good: InterpreterRow,
    reason: str,
    trials: Sequence[str],
    now: datetime,
) -> IncidentRow:
    """Open the incident that the trials of *row* speak for, or the one again that was fixed before."""
    span = Range(good.position, row.position)
    because = Because(f"{row.key}: {reason}", [row.key, good.key, *trials])
    found = _choose(session, row, span)
    if found is not None:
        incident = _join(session, row, *found, because, now)
    else:
        incident = _open(session, row, span, because, now)
    incident.reason = reason
    raise_to(session, incident, State.ATTRIBUTED, because, now)
    _settle(session, incident, now)
    return incident


def recovered(session: Session, row: InterpreterRow, now: datetime) -> None:
    """Close what the proven interpreter *row* shows to be mended on its track."""
    open_on_track = session.scalars(
        select(IncidentRow)
        .join(IncidentMember, IncidentMember.incident_id == IncidentRow.id)
        .where(IncidentRow.project_id.is_(None), IncidentMember.track_id == row.track_id)
        .where(IncidentMember.fixed_place.is_(None))
        .distinct()
    )
    for incident in open_on_track.all():
        if (incident.last_good_position or 0) < row.position < incident.first_bad_position:
            # Built later than what came after it.
            incident.last_good_position = row.position
        _settle(session, incident, now)


def last_good(session: Session, row: InterpreterRow) -> InterpreterRow | None:
    """Return the newest proven interpreter before *row* on its track."""
    return session.scalars(
        select(InterpreterRow)
        .where(InterpreterRow.track_id == row.track_id, InterpreterRow.position < row.position)
        .where(InterpreterRow.status == InterpreterStatus.PROVEN)
        .order_by(InterpreterRow.position.desc())
        .limit(1)
    ).one_or_none()


def _choose(session: Session, row: InterpreterRow, span: Range) -> tuple[Known, Belonging] | None:
    branch_id = session.get_one(Track, row.track_id).branch_id
    rows = session.scalars(
        select(IncidentRow)
        .where(IncidentRow.branch_id == branch_id, IncidentRow.project_id.is_(None))
        .where(IncidentRow.kind == f"{TRUNK}{row.status}")
        .order_by(IncidentRow.id)
    )
    same = [known_of(session, each) for each in rows if _same(session, row, each)]
    return choose(Sighting(Cause.INTERPRETER, "", span), same)


def _same(session: Session, row: InterpreterRow, incident: IncidentRow) -> bool:
    status = incident.kind.removeprefix(TRUNK)
    tails = session.scalars(
        select(InterpreterRow.log_tail)
        .join(IncidentMember, IncidentMember.interpreter_id == InterpreterRow.id)
        .where(IncidentMember.incident_id == incident.id)
    )
    return any(same_trouble(row.status, row.log_tail, status, tail) for tail in tails)


def _open(session: Session, row: InterpreterRow, span: Range, because: Because, now: datetime) -> IncidentRow:
    signature = hashlib.sha256("\0".join([row.status, *build_errors(row.log_tail)]).encode()).hexdigest()
    incident = IncidentRow(
        kind=f"{TRUNK}{row.status}",
        branch_id=session.get_one(Track, row.track_id).branch_id,
        cause=Cause.INTERPRETER.value,
        axes=Axis.INTERPRETER.value,
        title="",
        reason="",
        signature=signature,
        fault=signature,
        last_good_position=span.last_good,
        first_bad_position=span.first_bad,
        state=State.SUSPECTED.value,
        opened_at=now,
        changed_at=now,
    )
    session.add(incident)
    session.flush()
    happened(session, incident, Event.OPENED, because, now)
    _add_member(session, incident, row)
    return incident


def _join(
    session: Session, row: InterpreterRow, known: Known, how: Belonging, because: Because, now: datetime
) -> IncidentRow:
    incident = session.get_one(IncidentRow, known.id)
    good = last_good(session, row)
    sighting = Sighting(Cause.INTERPRETER, "", Range(good.position if good else None, row.position))
    save_ranges(incident, taken_in(sighting, known, how))
    event = Event.REOPENED if incident.state == State.FIXED else Event.JOINED
    happened(session, incident, event, because, now)
    _add_member(session, incident, row)
    if event is Event.REOPENED:
        # It was settled when it was opened; what is late, or was tried again, is the same.
        raise_to(session, incident, State.ATTRIBUTED, because, now)
    _settle(session, incident, now)
    return incident


def _add_member(session: Session, incident: IncidentRow, row: InterpreterRow) -> None:
    """Add the track, from the commit of *row* on, unless it shows the incident already; and say so in the title."""
    place = row.position * PLACES_PER_COMMIT
    known = session.scalars(
        select(IncidentMember).where(
            IncidentMember.incident_id == incident.id,
            IncidentMember.track_id == row.track_id,
            IncidentMember.fixed_place.is_(None),
        )
    ).first()
    if known is None:
        known = IncidentMember(
            incident_id=incident.id, track_id=row.track_id, interpreter_id=row.id, first_place=place
        )
        session.add(known)
    elif place < known.first_place:
        known.first_place, known.interpreter_id = place, row.id
    session.flush()
    incident.title = _title(session, incident, row)


def _title(session: Session, incident: IncidentRow, row: InterpreterRow) -> str:
    tracks = session.scalars(
        select(IncidentMember.track_id)
        .where(IncidentMember.incident_id == incident.id)
        .order_by(IncidentMember.id)
    )
    names = [track_name(session, number) for number in dict.fromkeys(tracks)]
    several = len({name.platform for name in names}) > 1
    shown = [f"{name.variant} on {name.platform}" if several else name.variant for name in names]
    branch = session.get_one(Branch, incident.branch_id).name
    said = build_errors(row.log_tail)
    return trunk_title(branch, incident.kind.removeprefix(TRUNK), shown, said[0] if said else "")


def _settle(session: Session, incident: IncidentRow, now: datetime) -> None:
    """Save from where on each track's interpreters are made again; with the last of them it is fixed."""
    still = select(IncidentMember).where(
        IncidentMember.incident_id == incident.id, IncidentMember.fixed_place.is_(None)
    )
    made = {}
    for member in session.scalars(still):
        proven = _next_proven(session, member)
        if proven is not None:
            member.fixed_place = proven.position * PLACES_PER_COMMIT
            made[proven.key] = track_name(session, member.track_id)
    session.flush()
    if not made:
        return
    left = session.scalar(select(func.count()).select_from(still.subquery()))
    fixed = not left and incident.state in OPEN
    because = Because("made again: " + "; ".join(map(str, made.values())), list(made))
    happened(session, incident, Event.FIXED if fixed else Event.RECOVERED, because, now)


def _next_proven(session: Session, member: IncidentMember) -> InterpreterRow | None:
    return session.scalars(
        select(InterpreterRow)
        .where(InterpreterRow.track_id == member.track_id)
        .where(InterpreterRow.position > member.first_place // PLACES_PER_COMMIT)
        .where(InterpreterRow.status == InterpreterStatus.PROVEN)
        .order_by(InterpreterRow.position)
        .limit(1)
    ).one_or_none()
