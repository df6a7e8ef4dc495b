"""Saves what a subject run changes in its tests' histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from pybots.database.tables import FailureRow, IntervalRow, RunRow
from pybots.results.intervals import Edit, Interval, Seen, edits, not_reported, record
from pybots.results.observed import Observed
from pybots.results.outcome import BAD, Outcome
from pybots.runs.status import Role

_CHUNK = 5_000
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class Run(NamedTuple):
    """A subject run: whose it is and where it stands."""

    project_id: int
    track_id: int
    place: int
    complete: bool


@dataclass(slots=True)
class _Kept:
    """One test's history from the run's place on, and the rows that hold it."""

    history: list[Interval] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    """Rows by their first places."""
    failures: dict[Seen, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Changes:
    """What is written, gathered for one statement of each kind."""

    removed: list[int] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    inserted: list[dict[str, Any]] = field(default_factory=list)

    def gather(self, run: Run, test_id: int, kept: _Kept, made: Iterable[Edit], own: int | None) -> None:
        """Take in the edits to one test's history; *own* is the row of what the test said in this run."""
        for edit in made:
            number, interval = kept.numbers.get(edit.first), edit.interval
            if interval is None:
                self.removed.append(kept.numbers[edit.first])
                continue
            failure = own if interval.first == run.place else kept.failures.get(interval.seen, own)
            values = {
                "end_place": interval.end,
                "outcome": interval.seen.outcome.value,
                "failure_id": failure,
            }
            if number is not None:
                self.updated.append({"number": number, **{f"new_{key}": values[key] for key in values}})
                continue
            place = {"project_id": run.project_id, "track_id": run.track_id, "first_place": interval.first}
            self.inserted.append({"test_id": test_id, **place, **values})


def save_histories(
    session: Session,
    run: Run,
    tests: Mapping[int, Observed],
    failures: Mapping[str, int],
) -> None:
    """Write the difference that *tests* (by their numbers) make; *failures* maps digests to rows."""
    kept = _read(session, run)
    next_place = _next_complete_place(session, run)
    changes = _Changes()
    for number in {**tests, **kept} if run.complete else tests:
        test, known = tests.get(number), kept.get(number) or _Kept()
        if test is None:
            after = not_reported(known.history, run.place, next_place)
        else:
            after = record(known.history, run.place, test.seen, next_place)
        own = failures.get(test.failure_digest) if test else None
        changes.gather(run, number, known, edits(known.history, after), own)
    _write(session, changes)


def _read(session: Session, run: Run) -> dict[int, _Kept]:
    kept: defaultdict[int, _Kept] = defaultdict(_Kept)
    row = IntervalRow
    query = (
        select(
            row.test_id,
            row.id,
            row.first_place,
            row.end_place,
            row.outcome,
            row.failure_id,
            FailureRow.signature,
        )
        .outerjoin(FailureRow, FailureRow.id == row.failure_id)
        .where(row.project_id == run.project_id, row.track_id == run.track_id)
        .where(or_(row.end_place.is_(None), row.end_place >= run.place))
        .order_by(row.test_id, row.first_place)
    )
    values: Any
    for test_id, *values in session.execute(query):
        _add(kept[test_id], *values)
    return dict(kept)


def _add(
    test: _Kept,
    number: int,
    first: int,
    end: int | None,
    word: str,
    failure_id: int | None,
    signed: str | None,
) -> None:
    outcome = _OUTCOMES[word]
    seen = Seen(outcome, (signed or "") if outcome in BAD else "")
    test.history.append(Interval(first, end, seen))
    test.numbers[first] = number
    test.failures[seen] = failure_id


def _next_complete_place(session: Session, run: Run) -> int | None:
    return session.scalar(
        select(func.min(RunRow.place)).where(
            RunRow.project_id == run.project_id,
            RunRow.track_id == run.track_id,
            RunRow.role == Role.SUBJECT,
            RunRow.complete.is_(True),
            RunRow.place > run.place,
        )
    )


def _write(session: Session, changes: _Changes) -> None:
    removed = changes.removed
    for start in range(0, len(removed), _CHUNK):
        session.execute(delete(IntervalRow).where(IntervalRow.id.in_(removed[start : start + _CHUNK])))
    if changes.updated:
        table = IntervalRow.__table__
        columns = ("end_place", "outcome", "failure_id")
        statement = (
            update(IntervalRow)
            .where(table.c.id == bindparam("number"))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        session.connection().execute(statement, changes.updated)
    if changes.inserted:
        session.connection().execute(insert(IntervalRow), changes.inserted)
