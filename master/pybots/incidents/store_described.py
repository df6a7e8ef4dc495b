"""Saves how an incident is called, of what its members are now."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    ComparisonRow,
    IncidentMember,
    IncidentRow,
    ProjectRow,
    RunRow,
    TestRow,
    VerdictRow,
)
from pybots.incidents.store_sighted import place_of
from pybots.incidents.title import Shows, title
from pybots.verdicts.evidence import Kind
from pybots.verdicts.store_surfaced import failure_of


def describe(session: Session, incident: IncidentRow) -> None:
    """Give *incident*, which projects show, its title."""
    rows = session.execute(
        select(ProjectRow.name, TestRow.name, IncidentMember.verdict_id)
        .join(ProjectRow, ProjectRow.id == IncidentMember.project_id)
        .outerjoin(TestRow, TestRow.id == IncidentMember.test_id)
        .where(IncidentMember.incident_id == incident.id)
        .order_by(IncidentMember.id)
    ).all()
    projects = list(dict.fromkeys(project for project, _, _ in rows))
    tests = list(dict.fromkeys(test for _, test, _ in rows if test is not None))
    first = next((number for _, _, number in rows if number is not None), None)
    verdict = session.get(VerdictRow, first) if first is not None else None
    if verdict is None:
        return
    comparison = session.get_one(ComparisonRow, verdict.comparison_id)
    failure = failure_of(session, verdict, session.get_one(RunRow, comparison.subject_id))
    incident.title = title(
        Shows(
            Kind(incident.kind),
            projects,
            tests,
            failure.exception if failure else "",
            failure.message if failure else "",
            place_of(verdict),
        )
    )
