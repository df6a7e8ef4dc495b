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
from pybots.verdicts.error_lines import error_lines
from pybots.verdicts.evidence import Kind
from pybots.verdicts.store_said import end_of_log
from pybots.verdicts.store_surfaced import failures_of


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
    subject = session.get_one(RunRow, comparison.subject_id)
    failure = failures_of(session, [verdict], subject).get(verdict.id)
    incident.title = title(
        Shows(
            Kind(incident.kind),
            projects,
            tests,
            failure.exception if failure else "",
            failure.message if failure else _first_line(session, verdict, subject),
            place_of(verdict),
        )
    )


def _first_line(session: Session, verdict: VerdictRow, subject: RunRow) -> str:
    """Return the first line of the log that tells why the run as a whole went wrong."""
    if verdict.test_id is not None:
        return ""
    lines = error_lines(end_of_log(session, subject.id), Kind(verdict.kind))
    return lines[0] if lines else ""
