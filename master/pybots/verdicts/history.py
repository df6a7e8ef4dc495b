"""Decides what an item's past says: with which place it is compared, and whether its rate of failing changed before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, groupby
from math import ceil, log
from typing import NamedTuple

from pybots.results.intervals import Interval
from pybots.results.outcome import Outcome
from pybots.verdicts.compare import showing
from pybots.verdicts.evidence import Difference, Kind, Showing, Stretch
from pybots.verdicts.sequential import (
    NONE,
    Counts,
    Past,
    log_chance,
    log_change,
    log_sum,
    probability,
)

KEPT_STRETCHES = 60
"""Of an item's past only the last so many stretches are looked at."""
WORTH_A_TRIAL = 0.2
"""Of what was bad before, as probable must it be that something changed, before a trial is asked for."""
HARDLY = 0.02
"""A baseline lies so far back that a change older than that would have stayed unseen with this probability."""

_SILENT = frozenset({Outcome.SKIPPED, Outcome.ABSENT})


class Seen(NamedTuple):
    """What one complete subject run showed of an item."""

    place: int
    shows: Showing


def last_telling(history: Sequence[Interval], place: int) -> Outcome | None:
    """Return a test's last outcome before *place* that was neither skipped nor absent, or None."""
    before = [interval for interval in history if interval.first < place]
    outcomes = [interval.seen.outcome for interval in before if interval.seen.outcome not in _SILENT]
    return outcomes[-1] if outcomes else None


def seen_at(history: Sequence[Interval], places: Iterable[int], kind: Kind) -> list[Seen]:
    """Return what the complete subject runs at *places* (ascending) showed of a test; not known reads UNKNOWN."""
    found: list[Seen] = []
    intervals = iter(history)
    current = next(intervals, None)
    for place in places:
        while current is not None and current.end is not None and current.end <= place:
            current = next(intervals, None)
        known = current is not None and current.first <= place
        shows = showing(kind, current.seen.outcome) if known and current is not None else Showing.UNKNOWN
        found.append(Seen(place, shows))
    return found


def with_controls(seen: Iterable[Seen], controls: Iterable[Seen]) -> list[Seen]:
    """Return the past with what the controls of earlier comparisons of the item showed, at their baselines' places.

    Without them what was found to be flaky would be tried anew whenever it fails: its past alone may look like a change
    where its controls failed as well.
    """
    return sorted([*seen, *controls], key=lambda one: one.place)


def stretches(seen: Iterable[Seen]) -> tuple[Stretch, ...]:
    """Return the past as `Difference.history` wants it: runs in a row that showed one thing, without the silent."""
    telling = [one for one in seen if one.shows is not Showing.UNKNOWN]
    groups = [(shows, list(group)) for shows, group in groupby(telling, key=lambda one: one.shows)]
    found = [Stretch(shows, len(group), group[-1].place) for shows, group in groups]
    return tuple(found[-KEPT_STRETCHES:])


def baseline_place(history: Sequence[Stretch], places: Sequence[int] = ()) -> int | None:
    """Return the place whose run is a difference's baseline, or None where the item has never been good on the track.

    That is the last at which it was good; but where it looks as if it had begun to fail now and then, or more often, at
    some earlier place, one so far before that, of *places* (all complete runs before the subject, ascending), that the
    change is hardly older: it may have stayed unseen for some runs.

    None: the item is new. Its comparison then moves the interpreter alone, and its baseline is the last complete
    subject run of the project on the track with another interpreter, or any older proven interpreter.
    """
    likeliest, cuts = _cuts(tuple(history))
    before = history[: _places(history)[likeliest]]
    good = [stretch.last_place for stretch in before if stretch.shows is Showing.AGREES]
    if not good:
        return None
    since = cuts[likeliest].since
    if since.bad == since.runs:
        return good[-1]
    earlier = [place for place in places if place <= good[-1]]
    unseen = ceil(log(HARDLY) / log(1 - since.bad / since.runs))
    return earlier[max(0, len(earlier) - 1 - unseen)] if earlier else good[-1]


def pasts(difference: Difference) -> tuple[Past, ...]:
    """Return the ways to cut an item's past: a change since its baseline began at one of these.

    The last one is at the subject itself.
    """
    likeliest, cuts = _cuts(tuple(difference.history))
    known = [one for one in difference.later if one is not Showing.UNKNOWN]
    later = Counts(known.count(Showing.DIFFERS), len(known))
    return tuple(cut._replace(since=cut.since.and_also(later)) for cut in cuts[likeliest:])


def suspicion(difference: Difference, *, with_later: bool = True) -> float:
    """Return how probable it is, before any trial, that something broke the item since its baseline, and not chance."""
    cuts = pasts(difference if with_later else replace(difference, later=()))
    return probability(log_change(cuts, NONE, NONE, 1.0), log_chance(cuts, NONE))


def observed(difference: Difference) -> Counts:
    """Return how often it was bad in all subject runs that are known, this one included."""
    last = pasts(difference)[-1]
    return last.before.and_also(last.since)


@lru_cache(maxsize=4096)
def _cuts(history: tuple[Stretch, ...]) -> tuple[int, tuple[Past, ...]]:
    """Return where a past can be cut, the subject last, and which of the cuts is the likeliest one."""
    counts = [_counts(stretch) for stretch in history]
    sums = list(accumulate(counts, Counts.and_also, initial=NONE))
    whole = sums[-1].and_also(Counts(1, 1))
    cuts = tuple(
        Past(
            sums[place],
            Counts(whole.bad - sums[place].bad, whole.runs - sums[place].runs),
            sum(stretch.shows is Showing.DIFFERS for stretch in history[:place]),
        )
        for place in _places(history)
    )
    weights = [log_change([cut], NONE, NONE, 1.0) for cut in cuts]
    best = max(range(len(cuts)), key=lambda number: (weights[number], number))
    suspected = probability(log_sum(weights), log_chance(cuts, NONE))
    return best if suspected >= WORTH_A_TRIAL else len(cuts) - 1, cuts


def _places(history: Sequence[Stretch]) -> list[int]:
    """Return the stretches that begin to be bad, after a good one; the subject comes after all."""
    return [
        number
        for number in range(1, len(history))
        if history[number].shows is Showing.DIFFERS and history[number - 1].shows is Showing.AGREES
    ] + [len(history)]


def _counts(stretch: Stretch) -> Counts:
    if stretch.shows is Showing.UNKNOWN:
        return NONE
    return Counts(stretch.runs if stretch.shows is Showing.DIFFERS else 0, stretch.runs)
