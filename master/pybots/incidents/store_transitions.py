"""Saves what becomes of an incident, with who said so and on what evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from pybots.database.tables import IncidentRow, IncidentTransition
from pybots.incidents.states import FARM, Event, State, after, raised


@dataclass(frozen=True, slots=True)
class Because:
    """Why something happens to an incident."""

    reason: str
    evidence: Sequence[str] = ()
    """Keys of runs and interpreters."""
    who: str = FARM


def happened(session: Session, incident: IncidentRow, event: Event, because: Because, now: datetime) -> bool:
    """Save that *event* happened to *incident*, and its new state; False where it cannot happen in its state."""
    before = None if event is Event.OPENED else State(incident.state)
    state = after(before, event)
    if state is None:
        return False
    incident.state, incident.changed_at = state.value, now
    incident.closed_at = (incident.closed_at or now) if state in {State.FIXED, State.INVALID} else None
    session.add(
        IncidentTransition(
            incident_id=incident.id,
            at=now,
            state_before=before.value if before else "",
            state=state.value,
            what=event.value,
            who=because.who[:200],
            reason=because.reason,
            evidence=json.dumps(list(because.evidence)),
        )
    )
    session.flush()
    return True


def raise_to(session: Session, incident: IncidentRow, target: State, because: Because, now: datetime) -> None:
    """Bring *incident* to what the evidence is good for, each step on record."""
    for event in raised(State(incident.state), target):
        happened(session, incident, event, because, now)
