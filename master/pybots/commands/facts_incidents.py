"""Turns incidents into the objects that `pybots demo` and `pybots replay` write."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from pybots.incidents.read_incidents import Incident, incidents


def incident_objects(session: Session) -> list[dict[str, Any]]:
    """Return every incident, in the order in which they were opened, in the shape of the design page's contract."""
    return [_object(incident) for incident in incidents(session)]


def _object(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "project": incident.project,
        "members": list(incident.members),
        "kind": incident.kind,
        "cause": incident.cause,
        "tests": list(incident.tests),
        "signature": incident.signature,
        "tracks": list(incident.tracks),
        "state": incident.state,
        "last_good": incident.last_good,
        "first_bad": incident.first_bad,
        "culprit": asdict(incident.culprit) if incident.culprit else None,
        "reason": incident.reason,
        "reproduce": incident.reproduce,
    }
