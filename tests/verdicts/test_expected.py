"""Expected failures: quiet until their day, said when they are over."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pybots.database.engine import Sessions
from pybots.database.tables import Condition, IntervalRow, ProjectRow, TestRow
from pybots.registry.recipe import Recipe
from pybots.results.outcome import Outcome
from pybots.verdicts.evidence import Kind
from pybots.verdicts.expected import Standing, by_test, expired, is_expected, report, standing
from pybots.verdicts.store_expected import expectations_of, report_expectations
from rows import Rows

P, F, S, X = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, Outcome.EXPECTED_FAILURE
DAY = date(2026, 12, 31)
BEFORE, AFTER = date(2026, 12, 31), date(2027, 1, 1)
RECIPE = Recipe.model_validate(
    {
        "project": {"name": "attrs", "contacts": ["ada@example.org"]},
        "source": {"pypi": "attrs"},
        "test": {"command": ["{python}", "-m", "pytest", "--junitxml={report}"], "report": "junit"},
        "expected_failure": [
            {"tests": ["test_a", "test_b"], "reason": "waits for the next release", "expires": DAY}
        ],
    }
)
EXPECTED = by_test(RECIPE.expected_failure)


@pytest.mark.parametrize(
    ("test", "kind", "day", "quiet"),
    [
        ("test_a", Kind.FAILED, BEFORE, True),
        ("test_b", Kind.ERROR, BEFORE, True),
        ("test_a", Kind.FAILED, AFTER, False),
        ("test_a", Kind.VANISHED, BEFORE, False),
        ("test_a", Kind.SKIPPED, BEFORE, False),
        ("test_c", Kind.FAILED, BEFORE, False),
    ],
)
def test_its_failing_is_no_news_until_the_day(test: str, kind: Kind, day: date, quiet: bool) -> None:
    assert is_expected(EXPECTED, test, kind, day) is quiet


@pytest.mark.parametrize(
    ("outcomes", "day", "stands"),
    [
        ([F], BEFORE, Standing.QUIET),
        ([F], AFTER, Standing.EXPIRED),
        ([], BEFORE, Standing.QUIET),
        ([], AFTER, Standing.EXPIRED),
        ([S], AFTER, Standing.EXPIRED),
        ([P, P], BEFORE, Standing.PASSES),
        ([P, S], AFTER, Standing.PASSES),
        ([P, F], BEFORE, Standing.QUIET),
        ([X], BEFORE, Standing.QUIET),
    ],
)
def test_how_it_stands(outcomes: list[Outcome], day: date, stands: Standing) -> None:
    assert standing(EXPECTED["test_a"], outcomes, day) is stands


def test_the_report_names_what_is_over_and_nothing_else() -> None:
    assert report(EXPECTED, {"test_a": [F]}, BEFORE) == ""
    said = report(EXPECTED, {"test_a": [P], "test_b": [F]}, AFTER)
    assert "passing on every track: test_a;" in said
    assert "until 2026-12-31, which has passed: test_b (waits for the next release)" in said
    assert [each.test for each in expired(RECIPE.expected_failure, AFTER)] == ["test_a", "test_b"]
    assert expired(RECIPE.expected_failure, BEFORE) == []


def test_it_is_a_condition_while_it_lasts(sessions: Sessions) -> None:
    with sessions.writing() as session:
        rows = Rows(session)
        project = rows.project("attrs", recipe=RECIPE.model_dump_json())
        rows.project("zope", recipe="{}")
        test = TestRow(project_id=project.id, name="test_a")
        session.add(test)
        session.flush()
        lasting = IntervalRow(
            test_id=test.id, track_id=rows.track().id, project_id=project.id, first_place=1, outcome="passed"
        )
        session.add(lasting)
        assert expectations_of(session, project.id) == EXPECTED
        report_expectations(session, datetime(2026, 12, 1, tzinfo=UTC))
        condition = session.get(Condition, "expected failures of attrs")
        assert condition is not None
        assert "passing on every track: test_a" in condition.text
        lasting.outcome = "failed"
        session.flush()
        report_expectations(session, datetime(2026, 12, 2, tzinfo=UTC))
        session.flush()
        assert session.get(Condition, "expected failures of attrs") is None
        assert session.query(ProjectRow).count() == 2
