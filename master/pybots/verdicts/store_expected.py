"""Reads recipes' expected failures from the results database, and saves what people should know of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database import conditions
from pybots.database.tables import Condition, IntervalRow, ProjectRow, TestRow
from pybots.registry.recipe import Recipe
from pybots.results.outcome import Outcome
from pybots.verdicts.expected import Expectation, by_test, report

CONDITION = "expected failures of "
"""Followed by the project's name."""
_MOST = 2_000
_TEXT = 2_000


def expectations_of(session: Session, project_id: int) -> dict[str, Expectation]:
    """Return what the project's recipe, as read last, expects to fail, by test."""
    return _expectations(session.get_one(ProjectRow, project_id))


def report_expectations(session: Session, now: datetime) -> None:
    """Save a condition for each project with an expectation that is over, and end those of the others."""
    troubles = {}
    # Most recipes expect nothing; those are not parsed.
    some = select(ProjectRow).where(ProjectRow.registered, ProjectRow.recipe.like('%"expected_failure":[{%'))
    for project in session.scalars(some):
        expectations = _expectations(project)
        text = report(expectations, _newest(session, project.id, list(expectations)[:_MOST]), now.date())
        if text:
            troubles[f"{CONDITION}{project.name}"] = text[:_TEXT]
    over = select(Condition.name).where(Condition.name.like(f"{CONDITION}%"))
    for name in set(session.scalars(over)) - set(troubles):
        conditions.end(session, name)
    for name, text in troubles.items():
        conditions.begin(session, name, text, now)


def _expectations(project: ProjectRow) -> dict[str, Expectation]:
    if '"expected_failure":[{' not in project.recipe:
        return {}
    try:
        return by_test(Recipe.model_validate_json(project.recipe).expected_failure)
    except ValidationError:  # an earlier Pybots saved it
        return {}


def _newest(session: Session, project_id: int, tests: Collection[str]) -> dict[str, list[Outcome]]:
    """Return what each of *tests* did last on each track."""
    found: defaultdict[str, list[Outcome]] = defaultdict(list)
    names = list(tests)
    for start in range(0, len(names), 500):
        rows = session.execute(
            select(TestRow.name, IntervalRow.outcome)
            .join(IntervalRow, IntervalRow.test_id == TestRow.id)
            .where(TestRow.project_id == project_id, TestRow.name.in_(names[start : start + 500]))
            .where(IntervalRow.end_place.is_(None))
        )
        for name, outcome in rows:
            found[name].append(Outcome(outcome))
    return dict(found)
