"""Decides what a test's history becomes when a run reports on it, in whatever order runs come in.

A *history* is the intervals of one test on one track, oldest first: they touch, do not overlap, two that
touch differ, and the last one lasts. Before the first place at which a test was reported nothing is known.
What complete runs report makes the same history in any order of ingestion. An incomplete run is put in where
it says something else than the history does; where it agrees it leaves nothing behind, so that a complete run
between it and the one before may later say otherwise for it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pybots.results.outcome import Outcome


class Seen(NamedTuple):
    """What a run saw of one test. The signature is of a bad outcome's failure, and empty for the others."""

    outcome: Outcome
    signature: str = ""


ABSENT = Seen(Outcome.ABSENT)


class Interval(NamedTuple):
    """One outcome over the places in [first, end); *end* is None while it lasts."""

    first: int
    end: int | None
    seen: Seen


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do to the interval that begins at *first*: save *interval* there, or remove it (None)."""

    first: int
    interval: Interval | None
    known: bool
    """True when there is one already."""


def record(history: Sequence[Interval], place: int, seen: Seen, next_place: int | None) -> list[Interval]:
    """Return *history* with what a run at *place* saw; *next_place* is the next complete run's, or None.

    *history* may be its end only, from the interval that ends at *place* or holds it.
    """
    covering = next((interval for interval in history if _holds(interval, place)), None)
    if covering is None:
        return _joined([*_first_known(history, place, seen, next_place), *history])
    if covering.seen == seen:
        return list(history)
    position = history.index(covering)
    return _joined(
        [*history[:position], *_split(covering, place, seen, next_place), *history[position + 1 :]]
    )


def not_reported(history: Sequence[Interval], place: int, next_place: int | None) -> list[Interval]:
    """Return *history* after a complete run at *place* that did not report the test.

    It is absent where it was known before; before it was first reported there is nothing to say.
    """
    if any(_holds(interval, place) for interval in history):
        return record(history, place, ABSENT, next_place)
    return list(history)


def edits(before: Sequence[Interval], after: Sequence[Interval]) -> list[Edit]:
    """Return what makes *after* of *before*; removals come first, so that no two rows share a first place."""
    if list(before) == list(after):
        return []
    old = {interval.first: interval for interval in before}
    new = {interval.first: interval for interval in after}
    removals = [Edit(first, None, known=True) for first in old if first not in new]
    return removals + [
        Edit(first, interval, known=first in old)
        for first, interval in new.items()
        if old.get(first) != interval
    ]


def _first_known(
    history: Sequence[Interval], place: int, seen: Seen, next_place: int | None
) -> list[Interval]:
    known_from = history[0].first if history else None
    if next_place is None or (known_from is not None and known_from <= next_place):
        return [Interval(place, known_from, seen)]
    # Complete runs between here and there did not report it.
    return [Interval(place, next_place, seen), Interval(next_place, known_from, ABSENT)]


def _split(covering: Interval, place: int, seen: Seen, next_place: int | None) -> list[Interval]:
    end = _earlier(next_place, covering.end)
    pieces = [
        Interval(covering.first, place, covering.seen),
        Interval(place, end, seen),
        Interval(end if end is not None else place, covering.end, covering.seen),
    ]
    keep_left, keep_right = covering.first < place, end is not None and end != covering.end
    return pieces[0 if keep_left else 1 : 3 if keep_right else 2]


def _joined(history: Sequence[Interval]) -> list[Interval]:
    joined: list[Interval] = []
    for interval in history:
        if joined and joined[-1].end == interval.first and joined[-1].seen == interval.seen:
            interval = Interval(joined.pop().first, interval.end, interval.seen)  # noqa: PLW2901
        joined.append(interval)
    return joined


def _holds(interval: Interval, place: int) -> bool:
    return interval.first <= place and (interval.end is None or place < interval.end)


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((place for place in (one, other) if place is not None), default=None)
