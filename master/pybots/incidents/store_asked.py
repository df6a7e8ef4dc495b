"""Saves what people ask of incidents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from pybots.database.tables import IncidentRow, Request
from pybots.incidents.asked import (
    EVENTS,
    REASON_LENGTH,
    Asked,
    Refused,
    Wish,
    check,
    check_state,
    muted_until,
)
from pybots.incidents.states import State
from pybots.incidents.store_transitions import Because, happened


def ask(session: Session, number: int, wish: Wish, now: datetime) -> Request:
    """Save *wish* for the incident *number*; the master applies it. Raises Refused where it cannot be done."""
    check(wish, now)
    check_state(wish.kind, State(_incident(session, number).state))
    request = Request(
        kind=wish.kind.value,
        subject=str(number),
        who=wish.who.strip()[:200],
        reason=wish.reason.strip()[:REASON_LENGTH],
        value=wish.value[:500],
        requested_at=now,
    )
    session.add(request)
    session.flush()
    return request


def apply_asked(session: Session, request: Request, now: datetime) -> str:
    """Do what *request* asks, with who and why on record; return the answer. Raises Refused."""
    incident = _incident(session, int(request.subject) if request.subject.isdecimal() else -1)
    kind = Asked(request.kind)
    wish = Wish(kind, request.who, request.reason, request.value)
    # A date that was to come when it was asked for may be past after a long night.
    check(wish, request.requested_at)
    check_state(kind, State(incident.state))
    match kind:
        case Asked.ACKNOWLEDGE:
            incident.acknowledged_by = request.who
        case Asked.MUTE:
            incident.muted_until = muted_until(request.value, request.requested_at)
        case Asked.LINK:
            incident.upstream = request.value
        case Asked.INVALID:
            pass
    said = " ".join(text for text in (request.value, request.reason) if text)
    happened(session, incident, EVENTS[kind], Because(said, [], request.who), now)
    return f"incident {incident.id}: {EVENTS[kind].value}"


def _incident(session: Session, number: int) -> IncidentRow:
    row = session.get(IncidentRow, number)
    if row is None:
        msg = f"there is no incident {number}"
        raise Refused(msg)
    return row
