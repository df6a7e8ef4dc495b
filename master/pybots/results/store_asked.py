"""Saves what a trial shows of the tests that it was asked for, and has finished runs looked at."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pybots.database.bulk import insert_rows
from pybots.database.tables import ComparisonRow, RunFailureRow, RunRow, TestRow, VerdictRow
from pybots.results.observed import Observed
from pybots.results.outcome import Outcome
from pybots.results.store_rows import KEPT_FAILURES, save_failures, save_tests
from pybots.runs.status import Role
from pybots_worker.contract import RunSpecification

DUE = "due"
CLOSED = "closed"


def have_it_compared(session: Session, run: RunRow) -> None:
    """Note that a decision has to look at what rests on the finished *run*: the subject, or the trial's comparison."""
    if run.role == Role.SUBJECT:
        run.compared = DUE
    elif run.comparison_id is not None:
        comparison = ComparisonRow
        asked_for_it = (comparison.id == run.comparison_id, comparison.state != CLOSED)
        session.execute(update(comparison).where(*asked_for_it).values(state=DUE))


def save_trial(
    session: Session, run: RunRow, specification: RunSpecification, tests: Mapping[str, Observed]
) -> None:
    """Save the outcomes of the tests that the trial *run* was asked for, whatever they are, and all bad ones.

    A test that it was asked for and that it does not name is absent, where the run came to its end.
    """
    asked = _asked(session, run, specification)
    said = {name: tests[name] for name in asked if name in tests}
    said |= {name: test for name, test in tests.items() if test.bad}
    numbers = asked | save_tests(session, run.project_id, [name for name in said if name not in asked])
    failures = save_failures(session, said.values())
    rows = [
        (run.id, numbers[name], test.seen.outcome.value, failures.get(test.failure_digest))
        for name, test in said.items()
    ]
    if run.complete:
        rows += [
            (run.id, number, Outcome.ABSENT.value, None)
            for name, number in asked.items()
            if name not in tests
        ]
    row = RunFailureRow
    # What it was asked for comes first: it is never what does not fit any more.
    kept = max(KEPT_FAILURES, len(asked))
    insert_rows(
        session, (row.run_id, row.test_id, row.outcome, row.failure_id), _asked_first(rows, asked)[:kept]
    )


def _asked(session: Session, run: RunRow, specification: RunSpecification) -> dict[str, int]:
    """Return the numbers of the tests for which the trial was made, by name."""
    query = (
        select(TestRow.name, TestRow.id)
        .join(VerdictRow, VerdictRow.test_id == TestRow.id)
        .where(VerdictRow.comparison_id == run.comparison_id)
    )
    items = dict(session.execute(query).all())
    if specification.tests is None:
        return items
    return {name: items[name] for name in specification.tests if name in items}


def _asked_first(
    rows: list[tuple[int, int, str, int | None]], asked: Mapping[str, int]
) -> list[tuple[int, int, str, int | None]]:
    numbers = set(asked.values())
    return sorted(rows, key=lambda row: row[1] not in numbers)
