"""Reads from the results database the pasts of tests, and of a project's runs as a whole, along a track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.bulk import one_of
from pybots.database.tables import FailureRow, IntervalRow, RunRow, TestRow
from pybots.results.intervals import Interval, Seen
from pybots.results.outcome import Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts import store_frozen
from pybots.verdicts.compare import showing, whole_showing
from pybots.verdicts.evidence import Kind, Stretch
from pybots.verdicts.history import Seen as SeenAt
from pybots.verdicts.history import seen_at, stretches, with_controls
from pybots.verdicts.store_trials import OutcomeAt

RUNS_LOOKED_AT = 1_000
_LOOKS = 400_000


@dataclass(slots=True)
class TestPast:
    """One test's intervals on a track, in order; the row of the failure in the one that begins last at a place."""

    __test__ = False  # pytest would take it for a test class

    name: str
    intervals: list[Interval] = field(default_factory=list)
    failures: dict[int, int | None] = field(default_factory=dict)
    """Rows of failures by the intervals' first places."""


class Looks:
    """What tests showed at some places; tests that share their past, nearly all, are looked at once."""

    def __init__(self, places: Sequence[int]) -> None:
        self.places = places
        self._known: dict[tuple[object, ...], list[SeenAt]] = {}

    def seen(self, intervals: Sequence[Interval], kind: Kind) -> list[SeenAt]:
        """Return what a test with these *intervals* showed of a difference of *kind*."""
        past = (kind, *((one.first, one.end, one.seen.outcome) for one in intervals))
        if past not in self._known:
            self._known[past] = seen_at(intervals, self.places, kind)
        return self._known[past]


def looked_at(tests: int) -> int:
    """Return how many runs of the past are looked at for each of so many tests."""
    return max(50, min(RUNS_LOOKED_AT, _LOOKS // max(tests, 1)))


def read_pasts(session: Session, run: RunRow, tests: Iterable[int]) -> dict[int, TestPast]:
    """Return the histories of *tests* (numbers) on the track of *run*."""
    row = IntervalRow
    query = (
        select(TestRow.name, row.test_id, row.first_place, row.end_place, row.outcome, row.failure_id)
        .add_columns(FailureRow.signature)
        .join(TestRow, TestRow.id == row.test_id)
        .outerjoin(FailureRow, FailureRow.id == row.failure_id)
        .where(row.track_id == run.track_id, one_of(session, row.test_id, list(tests)))
        .order_by(row.test_id, row.first_place)
    )
    pasts: dict[int, TestPast] = {}
    for name, test_id, first, end, word, failure_id, signed in session.execute(query):
        past = pasts.setdefault(test_id, TestPast(name))
        past.intervals.append(Interval(first, end, Seen(Outcome(word), signed or "")))
        past.failures[first] = failure_id
    return pasts


def whole_past(runs: Iterable[RunRow], kind: Kind) -> list[SeenAt]:
    """Return what the ends of *runs* say of a difference of *kind*."""
    return [
        SeenAt(run.place, whole_showing(kind, RunStatus(run.status), store_frozen.counts(run)))
        for run in runs
    ]


def history_of(
    intervals: Sequence[Interval], kind: Kind, looks: Looks, controls: Sequence[OutcomeAt]
) -> tuple[Stretch, ...]:
    """Return a test's past, with what the controls of earlier comparisons showed of it."""
    told = [SeenAt(place, showing(kind, outcome)) for place, outcome in controls]
    return stretches(with_controls(looks.seen(intervals, kind), told))
