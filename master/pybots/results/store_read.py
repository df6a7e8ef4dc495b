"""Reads outcomes, failures and histories from the results database."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pybots.database.tables import FailureRow, IntervalRow, RunFailureRow, RunRow, TestRow
from pybots.results.outcome import BAD, Outcome
from pybots.runs.status import Role


class OutcomeAt(NamedTuple):
    """What one test did at a place, and the row of what it said."""

    name: str
    outcome: Outcome
    failure_id: int | None


class FailedTest(NamedTuple):
    """A test that failed in a run, with what it said (empty texts where nothing was kept)."""

    test_id: int
    name: str
    outcome: Outcome
    exception: str
    message: str
    traceback: str
    signature: str


class Span(NamedTuple):
    """One outcome of a test over the places in [first_place, end_place); None while it lasts."""

    first_place: int
    end_place: int | None
    outcome: Outcome
    failure_id: int | None


def outcomes_at(session: Session, project_id: int, track_id: int, place: int) -> list[OutcomeAt]:
    """Return what every test known by then did at *place*, by name; absent ones too."""
    query = (
        select(TestRow.name, IntervalRow.outcome, IntervalRow.failure_id)
        .join(TestRow, TestRow.id == IntervalRow.test_id)
        .where(IntervalRow.project_id == project_id, IntervalRow.track_id == track_id)
        .where(IntervalRow.first_place <= place)
        .where(or_(IntervalRow.end_place.is_(None), IntervalRow.end_place > place))
        .order_by(TestRow.name)
    )
    return [OutcomeAt(name, Outcome(word), failure_id) for name, word, failure_id in session.execute(query)]


def failures_of_run(session: Session, run_id: int, limit: int = 1_000) -> list[FailedTest]:
    """Return the tests with a bad outcome in a finished run, by name, at most *limit*.

    Of a complete subject run the text is that of the first run in a row that failed with the same signature.
    """
    run = session.get(RunRow, run_id)
    if run is None:
        return []
    told_by_intervals = run.complete and run.role == Role.SUBJECT
    rows = IntervalRow if told_by_intervals else RunFailureRow
    query = (
        select(TestRow.id, TestRow.name, rows.outcome, FailureRow)
        .join(TestRow, TestRow.id == rows.test_id)
        .outerjoin(FailureRow, FailureRow.id == rows.failure_id)
        .where(rows.outcome.in_([outcome.value for outcome in BAD]))
        .order_by(TestRow.name)
        .limit(limit)
    )
    if told_by_intervals:
        query = query.where(
            IntervalRow.project_id == run.project_id,
            IntervalRow.track_id == run.track_id,
            IntervalRow.first_place <= run.place,
            or_(IntervalRow.end_place.is_(None), IntervalRow.end_place > run.place),
        )
    else:
        query = query.where(RunFailureRow.run_id == run_id)
    return [_failed(*row) for row in session.execute(query)]


def history(session: Session, test_id: int, track_id: int) -> list[Span]:
    """Return a test's history on a track, oldest first."""
    query = (
        select(IntervalRow)
        .where(IntervalRow.test_id == test_id, IntervalRow.track_id == track_id)
        .order_by(IntervalRow.first_place)
    )
    return [
        Span(row.first_place, row.end_place, Outcome(row.outcome), row.failure_id)
        for row in session.scalars(query)
    ]


def _failed(test_id: int, name: str, word: str, failure: FailureRow | None) -> FailedTest:
    if failure is None:
        return FailedTest(test_id, name, Outcome(word), "", "", "", "")
    texts = (failure.exception, failure.message, failure.traceback, failure.signature)
    return FailedTest(test_id, name, Outcome(word), *texts)
