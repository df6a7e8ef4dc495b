"""Reads from the results database which items an open incident has, and which tests a run newly skips."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    IncidentMember,
    IncidentRow,
    IntervalRow,
    RunRow,
    TestRow,
)
from pybots.results.outcome import Outcome

_OVER = ("fixed", "invalid")  # of `incidents.states`, a later stage


def still_broken(session: Session, run: RunRow) -> set[int | None]:
    """Return the tests of *run* (None: the run as a whole) that an open incident has on its track: they are known."""
    member = IncidentMember
    found = (
        select(member.test_id)
        .join(IncidentRow, IncidentRow.id == member.incident_id)
        .where(
            member.project_id == run.project_id,
            member.track_id == run.track_id,
            member.fixed_place.is_(None),
            IncidentRow.state.not_in(_OVER),
        )
    )
    return set(session.scalars(found))


def newly_skipped(session: Session, run: RunRow, count: int) -> list[str]:
    """Return the names of at most *count* tests that are skipped from *run* on."""
    found = (
        select(TestRow.name)
        .join(IntervalRow, IntervalRow.test_id == TestRow.id)
        .where(
            IntervalRow.project_id == run.project_id,
            IntervalRow.track_id == run.track_id,
            IntervalRow.first_place == run.place,
            IntervalRow.outcome == Outcome.SKIPPED.value,
        )
    )
    return list(session.scalars(found.order_by(TestRow.id).limit(count)))
