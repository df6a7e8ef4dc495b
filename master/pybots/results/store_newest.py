"""Saves what a project's newest run on a track changes: intervals that last end there, and others begin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, insert_rows, one_of
from pybots.database.tables import FailureRow, IntervalRow, RunRow, TestRow
from pybots.results.intervals import ABSENT, Seen
from pybots.results.observed import PASSED, Observed
from pybots.results.outcome import BAD, Outcome
from pybots.results.store_rows import save_failures, save_tests, test_ids

_CHUNK = 20_000
_WORDS = {outcome.value: (outcome, outcome in BAD) for outcome in Outcome}
_PASSED = Outcome.PASSED.value


class Lasting(NamedTuple):
    """What lasts of one test, and the rows of the interval and of the test."""

    seen: Seen
    interval_id: int
    test_id: int


def lasting(
    session: Session, project_id: int, track_id: int, names: Collection[str] | None = None
) -> dict[str, Lasting]:
    """Return what lasts of all tests of a project on a track, or of those named, by their names."""
    row = IntervalRow
    on_track = row.track_id == track_id
    if names is None:
        return _lasting(session, on_track, row.project_id == project_id, row.end_place.is_(None))
    found: dict[str, Lasting] = {}
    # Said so that no index helps to find what lasts: a database that goes by that goes through all the project's tests.
    lasts = func.coalesce(row.end_place, -1) == -1
    for chunk in chunks(names, _CHUNK):
        numbers = test_ids(session, project_id, one_of(session, TestRow.name, chunk)).values()
        found |= _lasting(session, on_track, one_of(session, row.test_id, numbers), lasts)
    return found


def _lasting(session: Session, *where: ColumnElement[bool]) -> dict[str, Lasting]:
    row = IntervalRow
    query = (
        select(TestRow.name, row.outcome, FailureRow.signature, row.id, row.test_id)
        .join(TestRow, TestRow.id == row.test_id)
        .outerjoin(FailureRow, FailureRow.id == row.failure_id)
        .where(*where)
    )
    return {
        name: Lasting(_seen(word, signed), number, test_id)
        for name, word, signed, number, test_id in session.connection().execute(query)
    }


def _seen(word: str, signed: str | None) -> Seen:
    if word == _PASSED:
        return PASSED.seen
    outcome, bad = _WORDS[word]
    return Seen(outcome, (signed or "") if bad else "")


def save_newest(
    session: Session, run: RunRow, tests: Mapping[str, Observed], before: Mapping[str, Lasting]
) -> None:
    """Save what *tests* say otherwise than *before*, and that those of *before* that are not in *tests* are absent.

    *run* is complete, and comes after all others of its project on its track. Of a test that lasts, *before* has to
    know, if *tests* names it.
    """
    changed = {
        name: test for name, test in tests.items() if name not in before or before[name].seen != test.seen
    }
    gone = [known for name, known in before.items() if name not in tests and known.seen != ABSENT]
    numbers = {name: before[name].test_id for name in changed if name in before}
    numbers |= save_tests(session, run.project_id, [name for name in changed if name not in numbers])
    failures = save_failures(session, changed.values())
    ended = [before[name].interval_id for name in changed if name in before]
    _end(session, ended + [known.interval_id for known in gone], run.place)
    begun = [
        (numbers[name], test.seen.outcome.value, failures.get(test.failure_digest))
        for name, test in changed.items()
    ]
    _begin(session, run, begun + [(known.test_id, ABSENT.outcome.value, None) for known in gone])


def _end(session: Session, intervals: Collection[int], place: int) -> None:
    for chunk in chunks(intervals, _CHUNK):
        ended = update(IntervalRow.__table__).where(one_of(session, IntervalRow.id, chunk))  # type: ignore[arg-type]
        session.connection().execute(ended.values(end_place=place))


def _begin(session: Session, run: RunRow, begun: Collection[tuple[Any, ...]]) -> None:
    row = IntervalRow
    columns = (row.test_id, row.outcome, row.failure_id, row.project_id, row.track_id, row.first_place)
    place = (run.project_id, run.track_id, run.place)
    insert_rows(session, columns, [(*test, *place) for test in begun])
