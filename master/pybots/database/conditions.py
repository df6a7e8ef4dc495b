"""Talks to the results database about what is degraded, since when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from pybots.database.tables import Condition


def begin(session: Session, name: str, text: str, now: datetime) -> None:
    """Note that *name* is degraded; the time of the first notice stays."""
    row = session.get(Condition, name)
    if row is None:
        session.add(Condition(name=name, since=now, text=text))
    else:
        row.text = text


def end(session: Session, name: str) -> None:
    """Note that *name* is well."""
    row = session.get(Condition, name)
    if row is not None:
        session.delete(row)
