"""Reads which artifacts open incidents rest on: retention keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import or_, select

from pybots.database.engine import Sessions
from pybots.database.tables import (
    ArtifactRow,
    ComparisonRow,
    IncidentMember,
    IncidentRow,
    InterpreterRow,
    RunRow,
    VerdictRow,
)
from pybots.incidents.states import OPEN


def artifacts_of_open(sessions: Sessions) -> Iterable[str]:
    """Return the digests of the interpreters with which open incidents can be shown again: bad and good ones."""
    with sessions.reading() as session:
        compared = (
            select(ComparisonRow)
            .join(VerdictRow, VerdictRow.comparison_id == ComparisonRow.id)
            .join(IncidentMember, IncidentMember.verdict_id == VerdictRow.id)
            .join(IncidentRow, IncidentRow.id == IncidentMember.incident_id)
            .where(IncidentRow.state.in_([state.value for state in OPEN]))
            .where(IncidentMember.fixed_place.is_(None))
            .subquery()
        )
        subjects = select(RunRow.interpreter_id).where(RunRow.id.in_(select(compared.c.subject_id)))
        return session.scalars(
            select(ArtifactRow.digest)
            .join(InterpreterRow, InterpreterRow.artifact_id == ArtifactRow.id)
            .where(
                or_(
                    InterpreterRow.id.in_(subjects),
                    InterpreterRow.id.in_(select(compared.c.baseline_interpreter_id)),
                )
            )
            .distinct()
        ).all()
