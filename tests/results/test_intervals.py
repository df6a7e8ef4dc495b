from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots.results.intervals import ABSENT, Edit, Interval, Seen, edits, not_reported, record
from pybots.results.outcome import Outcome

P, F, S = Seen(Outcome.PASSED), Seen(Outcome.FAILED, "one"), Seen(Outcome.SKIPPED)
F2 = Seen(Outcome.FAILED, "two")


def history(*pieces: tuple[int, int | None, Seen]) -> list[Interval]:
    return [Interval(*piece) for piece in pieces]


TABLE = {
    "first run": ([], 10, P, None, [(10, None, P)]),
    "the same again": ([(10, None, P)], 20, P, None, [(10, None, P)]),
    "a change": ([(10, None, P)], 20, F, None, [(10, 20, P), (20, None, F)]),
    "another failure": ([(10, None, F)], 20, F2, None, [(10, 20, F), (20, None, F2)]),
    "in between, the same": ([(10, None, P)], 15, P, 20, [(10, None, P)]),
    "in between, different": ([(10, None, P)], 15, F, 20, [(10, 15, P), (15, 20, F), (20, None, P)]),
    "up to the next complete run only": (
        [(10, None, P)],
        15,
        F,
        30,
        [(10, 15, P), (15, 30, F), (30, None, P)],
    ),
    "just before a change, as after it": (
        [(10, 20, P), (20, None, F)],
        15,
        F,
        20,
        [(10, 15, P), (15, None, F)],
    ),
    "just before a change, different": (
        [(10, 20, P), (20, None, F)],
        15,
        S,
        20,
        [(10, 15, P), (15, 20, S), (20, None, F)],
    ),
    "before it was known, the same": ([(20, None, P)], 10, P, 20, [(10, None, P)]),
    "before it was known, different": ([(20, None, P)], 10, F, 20, [(10, 20, F), (20, None, P)]),
    "before it was known, and not in the next complete run": (
        [(30, None, P)],
        10,
        P,
        20,
        [(10, 20, P), (20, 30, ABSENT), (30, None, P)],
    ),
    "not in any later complete run": ([], 10, P, 20, [(10, 20, P), (20, None, ABSENT)]),
    "at a place again": ([(10, None, P)], 10, F, None, [(10, None, F)]),
    "at a place again, as before it": ([(5, 10, P), (10, None, F)], 10, P, None, [(5, None, P)]),
}


@pytest.mark.parametrize(("before", "place", "seen", "next_place", "after"), TABLE.values(), ids=TABLE.keys())
def test_what_a_run_makes_of_a_history(
    before: list[tuple[int, int | None, Seen]],
    place: int,
    seen: Seen,
    next_place: int | None,
    after: list[tuple[int, int | None, Seen]],
) -> None:
    assert record(history(*before), place, seen, next_place) == history(*after)


def test_a_known_test_that_is_not_reported_is_absent() -> None:
    known = history((10, None, P))
    assert not_reported(known, 20, None) == history((10, 20, P), (20, None, ABSENT))


def test_a_test_that_was_not_known_yet_is_not_absent() -> None:
    known = history((10, None, P))
    assert not_reported(known, 5, 10) == known
    assert not_reported([], 5, None) == []


def test_edits_are_few_and_remove_first() -> None:
    before = history((10, 20, P), (20, None, F))
    after = record(before, 15, F, 20)
    assert edits(before, after) == [
        Edit(20, None, known=True),
        Edit(10, Interval(10, 15, P), known=True),
        Edit(15, Interval(15, None, F), known=False),
    ]
    assert edits(before, before) == []


# --- against a model that keeps every outcome of every run --------------------------------------------------

SEEN = st.sampled_from([P, F, F2, S])
COMPLETE_RUNS = st.dictionaries(st.integers(1, 12), st.one_of(st.none(), SEEN), min_size=1, max_size=12)
"""What each complete run reported of one test, by place; None where it did not report it."""


def ingested(runs: dict[int, Seen | None], order: list[int]) -> list[Interval]:
    kept: list[Interval] = []
    done: set[int] = set()
    for place in order:
        later = min((other for other in done if other > place), default=None)
        # What the store reads: the end of the history, from the interval that ends at the place or holds it.
        start = [interval for interval in kept if interval.end is not None and interval.end < place]
        rest = kept[len(start) :]
        seen = runs[place]
        kept = start + (
            not_reported(rest, place, later) if seen is None else record(rest, place, seen, later)
        )
        done.add(place)
    return kept


def modelled(runs: dict[int, Seen | None]) -> dict[int, Seen]:
    known_from = min((place for place, seen in runs.items() if seen is not None), default=None)
    if known_from is None:
        return {}
    return {place: seen or ABSENT for place, seen in runs.items() if place >= known_from}


def at(kept: list[Interval], place: int) -> list[Seen]:
    return [i.seen for i in kept if i.first <= place and (i.end is None or place < i.end)]


def assert_whole(kept: list[Interval]) -> None:
    for one, other in pairwise(kept):
        assert one.end == other.first
        assert one.seen != other.seen
    assert all(interval.end is None or interval.first < interval.end for interval in kept)
    assert not kept or kept[-1].end is None


@settings(deadline=None)
@given(st.data(), COMPLETE_RUNS)
def test_complete_runs_in_any_order(data: st.DataObject, runs: dict[int, Seen | None]) -> None:
    kept = ingested(runs, data.draw(st.permutations(sorted(runs))))
    assert_whole(kept)
    expected = modelled(runs)
    for place in runs:
        assert at(kept, place) == ([expected[place]] if place in expected else [])
    assert kept == ingested(runs, sorted(runs))


INCOMPLETE = st.dictionaries(st.integers(1, 12), SEEN, max_size=6)


@settings(deadline=None)
@given(st.data(), COMPLETE_RUNS, INCOMPLETE)
def test_incomplete_runs_among_them(
    data: st.DataObject, complete: dict[int, Seen | None], incomplete: dict[int, Seen]
) -> None:
    """Whatever the order: histories stay whole, and every complete run that reported the test is kept."""
    runs = {place: seen for place, seen in incomplete.items() if place not in complete} | complete
    order = data.draw(st.permutations(sorted(runs)))
    kept: list[Interval] = []
    for index, place in enumerate(order):
        later = min((o for o in order[:index] if o > place and o in complete), default=None)
        seen = runs[place]
        before = kept
        kept = not_reported(before, place, later) if seen is None else record(before, place, seen, later)
        assert_whole(kept)
        for done in order[: index + 1]:
            if done in complete and complete[done] is not None:
                assert at(kept, done) == [complete[done]]
        if seen is not None:
            assert at(kept, place) == [seen]


@settings(deadline=None)
@given(COMPLETE_RUNS, st.data())
def test_edits_make_the_new_history(runs: dict[int, Seen | None], data: st.DataObject) -> None:
    order = data.draw(st.permutations(sorted(runs)))
    before, after = ingested(runs, order[:-1]), ingested(runs, order)
    rows = {interval.first: interval for interval in before}
    for edit in edits(before, after):
        assert (edit.first in rows) is edit.known
        if edit.interval is None:
            del rows[edit.first]
        else:
            rows[edit.interval.first] = edit.interval
    assert [rows[first] for first in sorted(rows)] == after
