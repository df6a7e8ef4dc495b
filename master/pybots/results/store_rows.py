"""Writes tests and failures to the results database in bulk, each of them once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Insert, Text, any_, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from pybots.database.tables import Base, FailureRow, RunFailureRow, TestRow
from pybots.results.observed import Observed

KEPT_FAILURES = 1_000
_CHUNK = 20_000


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert *rows*, but for those whose unique columns are there already."""
    if rows:
        session.connection().execute(_insert_or_pass(session, table), [dict(row) for row in rows])


def _insert_or_pass(session: Session, table: type[Base]) -> Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def save_tests(session: Session, project_id: int, names: Collection[str]) -> dict[str, int]:
    """Return the number of each named test, giving one to those that are new."""
    known = _test_ids(session, project_id, names)
    missing = [name for name in names if name not in known]
    if missing:
        insert_missing(session, TestRow, [{"project_id": project_id, "name": name} for name in missing])
        known |= _test_ids(session, project_id, missing)
    return known


def save_failures(session: Session, tests: Iterable[Observed]) -> dict[str, int]:
    """Return the number of each failure by its digest, saving those that are new."""
    failures = {test.failure_digest: test for test in tests if test.failure is not None}
    known = _failure_ids(session, failures)
    missing = [digest for digest in failures if digest not in known]
    if missing:
        insert_missing(session, FailureRow, [_failure_values(failures[digest]) for digest in missing])
        known |= _failure_ids(session, missing)
    return known


def save_run_failures(
    session: Session, run_id: int, tests: Mapping[int, Observed], failures: Mapping[str, int]
) -> None:
    """Save the first bad outcomes of a run that intervals do not tell of."""
    rows = [
        {
            "run_id": run_id,
            "test_id": test_id,
            "outcome": test.seen.outcome.value,
            "failure_id": failures.get(test.failure_digest),
        }
        for test_id, test in list(tests.items())[:KEPT_FAILURES]
    ]
    if rows:
        session.connection().execute(insert(RunFailureRow), rows)


def _failure_values(test: Observed) -> dict[str, str]:
    failure = test.failure
    assert failure is not None
    return {
        "digest": test.failure_digest,
        "signature": test.failure_signature,
        "exception": failure.exception[:200],
        "message": failure.message,
        "traceback": failure.traceback,
    }


def _test_ids(session: Session, project_id: int, names: Collection[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for chunk in _chunks(names):
        query = select(TestRow.name, TestRow.id).where(
            TestRow.project_id == project_id, one_of(session, TestRow.name, chunk)
        )
        known.update((name, number) for name, number in session.execute(query))
    return known


def _failure_ids(session: Session, digests: Collection[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for chunk in _chunks(digests):
        query = select(FailureRow.digest, FailureRow.id).where(one_of(session, FailureRow.digest, chunk))
        known.update((digest, number) for digest, number in session.execute(query))
    return known


def one_of(
    session: Session, column: InstrumentedAttribute[str], values: Sequence[str]
) -> ColumnElement[bool]:
    """Return the condition that *column* is one of *values*, which go to the database as one parameter.

    With a parameter each, SQLAlchemy takes longer to write the statement than the database to answer it.
    """
    if session.get_bind().dialect.name == "postgresql":
        return column == any_(literal(list(values), postgresql.ARRAY(Text)))
    listed = func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(select(listed.c.value))


def _chunks(items: Collection[str]) -> Iterator[list[str]]:
    everything = list(items)
    for start in range(0, len(everything), _CHUNK):
        yield everything[start : start + _CHUNK]
