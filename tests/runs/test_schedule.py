"""In which order an interpreter's runs are asked for."""

from __future__ import annotations

import heapq

from hypothesis import given
from hypothesis import strategies as st

from pybots.runs.schedule import longest_first


def test_the_longest_goes_first_and_what_never_ran_before_it() -> None:
    known = {"short": 1.0, "long": 9.0, "middle": 5.0}
    assert longest_first(["short", "new", "middle", "long"], known) == ["new", "long", "middle", "short"]


def test_equals_go_by_name() -> None:
    assert longest_first(["b", "a", "c"], {"a": 1.0, "b": 1.0, "c": 1.0}) == ["a", "b", "c"]


@given(st.lists(st.floats(min_value=0.1, max_value=100), min_size=1, max_size=40), st.integers(1, 8))
def test_handed_out_one_by_one_they_end_half_as_late_again_at_worst(
    seconds: list[float], workers: int
) -> None:
    """The run that ends last began before the mean end, and of what is longer there is one for each worker at most."""
    known = {f"p{number}": value for number, value in enumerate(seconds)}
    ends = [0.0] * workers
    for name in longest_first(known, known):
        heapq.heapreplace(ends, ends[0] + known[name])
    ordered = sorted(seconds, reverse=True)
    two_on_one = 2 * ordered[workers] if len(ordered) > workers else 0.0
    assert max(ends) <= 1.5 * max(sum(seconds) / workers, ordered[0], two_on_one) + 1e-6
