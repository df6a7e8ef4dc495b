"""Applies what people ask of the master: each row of `requests`, once."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import Request
from pybots.farm.parts import Parts
from pybots.farm.planning import Planner
from pybots.incidents.asked import Asked, Refused
from pybots.incidents.store_asked import apply_asked

AT_ONCE = 20


def apply_requests(parts: Parts, planner: Planner) -> None:
    """Apply the oldest requests that wait, and save each one's answer."""
    with parts.sessions.reading() as session:
        waiting = session.scalars(
            select(Request).where(Request.applied_at.is_(None)).order_by(Request.id).limit(AT_ONCE)
        ).all()
    for request in waiting:
        try:
            _apply(parts, planner, request)
        except Exception as error:  # noqa: BLE001  (whatever it is, the request is answered, and the next one is read)
            said = "refused" if isinstance(error, Refused) else "failed"
            with parts.sessions.writing() as session:
                _answer(parts, session, request, f"{said}: {error}")


def _apply(parts: Parts, planner: Planner, request: Request) -> None:
    if request.kind in set(Asked):
        # What it does and that it was done are saved together: it happens once.
        with parts.sessions.writing() as session:
            _answer(parts, session, request, apply_asked(session, request, parts.clock()))
        return
    answer = f"refused: this master does not know the request {request.kind!r}"
    if request.kind == "run-again":
        answer = f"{len(planner.again(request.subject))} runs wanted"
    with parts.sessions.writing() as session:
        _answer(parts, session, request, answer)


def _answer(parts: Parts, session: Session, request: Request, answer: str) -> None:
    row = session.get_one(Request, request.id)
    row.applied_at, row.answer = parts.clock(), answer
