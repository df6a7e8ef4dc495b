"""Applies what people ask of the master: each row of `requests`, once."""

from __future__ import annotations

from sqlalchemy import select

from pybots.database.tables import Request
from pybots.farm.parts import Parts
from pybots.farm.planning import Planner

AT_ONCE = 20


def apply_requests(parts: Parts, planner: Planner) -> None:
    """Apply the oldest requests that wait, and save each one's answer."""
    with parts.sessions.reading() as session:
        waiting = session.scalars(
            select(Request).where(Request.applied_at.is_(None)).order_by(Request.id).limit(AT_ONCE)
        ).all()
    for request in waiting:
        try:
            answer = _apply(planner, request.kind, request.subject)
        except Exception as error:  # noqa: BLE001  (whatever it is, the request is answered, and the next one is read)
            answer = f"failed: {error}"
        with parts.sessions.writing() as session:
            row = session.get_one(Request, request.id)
            row.applied_at, row.answer = parts.clock(), answer


def _apply(planner: Planner, kind: str, subject: str) -> str:
    if kind == "run-again":
        planned = planner.again(subject)
        return f"{len(planned)} runs wanted"
    return f"refused: this master does not know the request {kind!r}"
