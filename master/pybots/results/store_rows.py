"""Writes tests and failures to the results database in bulk, each of them once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, insert_rows, new_numbers, one_of
from pybots.database.tables import FailureRow, RunFailureRow, TestRow
from pybots.database.types import whole
from pybots.results.observed import Observed

KEPT_FAILURES = 1_000
_CHUNK = 20_000


def test_ids(session: Session, project_id: int, which: ColumnElement[bool]) -> dict[str, int]:
    """Return the numbers of the project's tests for which the condition *which* holds, by their names."""
    query = select(TestRow.name, TestRow.id).where(TestRow.project_id == project_id, which)
    return {name: number for name, number in session.connection().execute(query)}  # noqa: C416


def save_tests(session: Session, project_id: int, names: Collection[str]) -> dict[str, int]:
    """Return the number of each named test, giving one to those that are new."""
    known: dict[str, int] = {}
    for chunk in chunks(names, _CHUNK):
        known |= test_ids(session, project_id, one_of(session, TestRow.name, chunk))
    missing = [name for name in names if name not in known]
    if missing:
        known |= _new_tests(session, project_id, missing)
    return known


def save_failures(session: Session, tests: Iterable[Observed]) -> dict[str, int]:
    """Return the number of each failure by its digest, saving those that are new."""
    failures = {test.failure_digest: test for test in tests if test.failure is not None}
    known: dict[str, int] = {}
    for chunk in chunks(failures, _CHUNK):
        known |= _failure_ids(session, one_of(session, FailureRow.digest, chunk))
    missing = [test for digest, test in failures.items() if digest not in known]
    if missing:
        known |= _new_failures(session, missing)
    return known


def save_run_failures(
    session: Session, run_id: int, tests: Mapping[int, Observed], failures: Mapping[str, int]
) -> None:
    """Save the first bad outcomes of a run that intervals do not tell of."""
    row = RunFailureRow
    rows = [
        (run_id, test_id, test.seen.outcome.value, failures.get(test.failure_digest))
        for test_id, test in list(tests.items())[:KEPT_FAILURES]
    ]
    insert_rows(session, (row.run_id, row.test_id, row.outcome, row.failure_id), rows)


def _new_tests(session: Session, project_id: int, names: Collection[str]) -> dict[str, int]:
    row = TestRow
    numbers = dict(zip(names, new_numbers(session, row.id, len(names)), strict=True))
    rows = [(number, project_id, whole(name)) for name, number in numbers.items()]
    insert_rows(session, (row.id, row.project_id, row.name), rows)
    return numbers


def _new_failures(session: Session, tests: Collection[Observed]) -> dict[str, int]:
    row = FailureRow
    columns = (row.id, row.digest, row.signature, row.exception, row.message, row.traceback)
    # In the order of the index that is the largest: then its pages are each of them read and written once.
    ordered = sorted(tests, key=attrgetter("failure_digest"))
    numbers = new_numbers(session, row.id, len(ordered))
    insert_rows(session, columns, list(map(_failure_values, numbers, ordered)))
    return {test.failure_digest: number for test, number in zip(ordered, numbers, strict=True)}


def _failure_values(number: int, test: Observed) -> tuple[int | str, ...]:
    failure = test.failure
    assert failure is not None
    texts = (failure.exception[:200], failure.message, failure.traceback)
    return number, test.failure_digest, test.failure_signature, *map(whole, texts)


def _failure_ids(session: Session, which: ColumnElement[bool]) -> dict[str, int]:
    query = select(FailureRow.digest, FailureRow.id).where(which)
    return {digest: number for digest, number in session.connection().execute(query)}  # noqa: C416
