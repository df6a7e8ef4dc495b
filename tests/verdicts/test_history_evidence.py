"""What an item's past says: its baseline, whether its rate changed, and how a past is read from intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.results.intervals import Interval, Seen
from pybots.results.outcome import Outcome
from pybots.verdicts import history
from pybots.verdicts.evidence import Difference, Kind, Showing, Stretch
from pybots.verdicts.history import baseline_place, seen_at, stretches, suspicion, with_controls

A, D, U = Showing.AGREES, Showing.DIFFERS, Showing.UNKNOWN


def past(text: str) -> tuple[Stretch, ...]:
    """`.` passed, `F` failed, `?` unknown; one run a place, from 1 on."""
    shows = {".": A, "F": D, "?": U}
    return stretches(history.Seen(place, shows[one]) for place, one in enumerate(text, 1))


def test_stretches_leave_out_what_says_nothing() -> None:
    assert past("..?.F.") == (Stretch(A, 3, 4), Stretch(D, 1, 5), Stretch(A, 1, 6))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("?", None),
        ("F", None),
        ("....", 4),
        ("..??", 2),
        ("....F...", 8),
        (".F...F....F....", 15),
    ],
)
def test_the_baseline_is_the_last_run_at_which_it_was_good(text: str, place: int | None) -> None:
    assert baseline_place(past(text), range(1, len(text) + 1)) == place


def test_where_it_began_to_fail_now_and_then_the_baseline_lies_well_before() -> None:
    text = "." * 30 + "F.FF.F.FF.F."
    place = baseline_place(past(text), range(1, len(text) + 1))
    assert place is not None
    assert 20 <= place < 30
    assert baseline_place(past(text)) == 30


def of(text: str, later: str = "") -> Difference:
    shows = {".": A, "F": D}
    return Difference("t", Kind.FAILED, "s", past(text), tuple(shows[one] for one in later))


def test_suspicion_follows_the_past() -> None:
    steady, rare, often = of("." * 20), of("." * 10 + "F" + "." * 40), of(".F..F...F..F.." * 2)
    assert suspicion(steady) > 0.5 > suspicion(rare) > suspicion(often)
    assert suspicion(often) < 0.02


def test_failures_in_a_row_make_a_known_flake_suspicious() -> None:
    values = [suspicion(of("....F......FF.......", "F" * more)) for more in range(6)]
    assert values == sorted(values)
    assert values[0] < 0.05
    assert values[-1] > 0.5


def test_controls_that_failed_too_take_a_suspicion_away() -> None:
    text = "." * 30 + "F.F.FF.F."
    seen = [history.Seen(place, D if one == "F" else A) for place, one in enumerate(text, 1)]
    failed = [history.Seen(3, shows) for shows in (D, A, A, D, A, D, A)]
    plain = Difference("t", Kind.FAILED, "s", stretches(seen))
    known = Difference("t", Kind.FAILED, "s", stretches(with_controls(seen, failed)))
    assert suspicion(known) < history.WORTH_A_TRIAL <= suspicion(plain)


def test_a_past_is_read_from_intervals() -> None:
    intervals = [
        Interval(3, 6, Seen(Outcome.PASSED)),
        Interval(6, 8, Seen(Outcome.FAILED, "x")),
        Interval(8, None, Seen(Outcome.SKIPPED)),
    ]
    seen = seen_at(intervals, [1, 3, 5, 6, 9], Kind.FAILED)
    assert [one.shows for one in seen] == [U, A, A, D, U]
    assert history.last_telling(intervals, 9) is Outcome.FAILED
    assert history.last_telling(intervals, 6) is Outcome.PASSED
    assert history.last_telling(intervals, 3) is None


@given(st.text(alphabet=".F?", max_size=200), st.text(alphabet=".F", max_size=20))
def test_any_past_gives_a_probability_and_a_baseline_at_a_good_run(text: str, later: str) -> None:
    difference = of_any(text, later)
    assert 0.0 <= suspicion(difference) <= 1.0
    place = baseline_place(difference.history, range(1, len(text) + 1))
    assert place is None or 1 <= place <= len(text)
    assert (place is None) == ("." not in text)


def of_any(text: str, later: str) -> Difference:
    shows = {".": A, "F": D}
    return Difference("t", Kind.FAILED, "s", past(text), tuple(shows[one] for one in later))
