"""The posterior, the ways in which axes can be at fault, and the budget."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.verdicts.axes import breaks, edges, faults, in_words, involved, vertices
from pybots.verdicts.budget import share
from pybots.verdicts.evidence import Axis
from pybots.verdicts.sequential import (
    Counts,
    Past,
    log_as_ever,
    log_broken,
    log_chance,
    log_change,
    log_in_a_state,
    probability,
    together,
)

COUNTS = st.integers(0, 60).flatmap(lambda runs: st.builds(Counts, st.integers(0, runs), st.just(runs)))
I, D, P = Axis.INTERPRETER, Axis.DEPENDENCY, Axis.PROJECT  # noqa: E741


def chance(past: Past, subject: Counts, control: Counts) -> float:
    by_chance = log_chance([past], together([subject, control]))
    return probability(by_chance, log_change([past], subject, control, 1.0))


@pytest.mark.parametrize("log_likelihood", [log_as_ever, log_in_a_state, log_broken])
@pytest.mark.parametrize("runs", [1, 2, 5])
def test_likelihoods_of_all_sequences_add_up_to_one(log_likelihood, runs: int) -> None:  # type: ignore[no-untyped-def]
    sequences = [number.bit_count() for number in range(2**runs)]
    assert sum(exp(log_likelihood(Counts(bad, runs))) for bad in sequences) == pytest.approx(1.0)


def test_a_deterministic_difference_takes_five_pairs() -> None:
    past = Past(Counts(0, 20), Counts(1, 1))
    assert chance(past, Counts(4, 4), Counts(0, 4)) > 1e-4 > chance(past, Counts(5, 5), Counts(0, 5))


@given(COUNTS, st.integers(0, 30), st.integers(0, 30))
def test_chance_falls_with_each_bad_subject_and_good_control(before: Counts, bad: int, good: int) -> None:
    past = Past(before, Counts(1, 1))
    now = chance(past, Counts(bad, bad), Counts(0, good))
    pair = chance(past, Counts(bad + 1, bad + 1), Counts(0, good + 1))
    assert pair <= now + 1e-12


@given(COUNTS, COUNTS, COUNTS)
def test_chance_grows_with_each_bad_control(before: Counts, subject: Counts, control: Counts) -> None:
    past = Past(before, Counts(1, 1))
    more = Counts(subject.bad + 1, subject.runs + 1)
    assert 0.0 <= chance(past, subject, control) <= 1.0
    worse = Counts(control.bad + 1, control.runs)
    if worse.bad <= worse.runs and control.bad == 0 and subject.bad == subject.runs:
        assert chance(past, more, worse) >= chance(past, more, control) - 1e-12


@pytest.mark.parametrize(("axes", "count"), [({I}, 1), ({I, P}, 4), ({I, D, P}, 18), (set(), 0)])
def test_every_way_to_be_at_fault_is_there_once(axes: set[Axis], count: int) -> None:
    found = [fault for fault, _ in faults(frozenset(axes))]
    assert len(found) == len(set(found)) == count
    tables = {tuple(breaks(fault, back) for back in vertices(frozenset(axes))) for fault in found}
    assert len(tables) == count


@pytest.mark.parametrize("fault", [fault for fault, _ in faults(frozenset(Axis))])
def test_each_breaks_the_subject_and_not_the_baseline_and_has_an_edge(fault) -> None:  # type: ignore[no-untyped-def]
    moved = frozenset(Axis)
    assert breaks(fault, frozenset())
    assert not breaks(fault, moved)
    for bad, good in edges(fault, moved):
        assert breaks(fault, bad)
        assert not breaks(fault, good)
        assert len(good - bad) == 1
    assert edges(fault, moved)
    assert involved(fault)


def test_one_axis_is_likelier_than_two() -> None:
    weights = dict(faults(frozenset(Axis)))
    alone = {fault: weight for fault, weight in weights.items() if not in_words(fault)}
    assert len(alone) == 3
    assert min(alone.values()) > 10 * max(weight for fault, weight in weights.items() if in_words(fault))


@pytest.mark.parametrize(
    ("a_year", "claims", "alpha"), [(0.01, 0, 1e-4), (0.01, 1000, 1e-5), (5.0, 0, 0.01), (0.0, 10, 1e-9)]
)
def test_the_budget_is_shared_out(a_year: float, claims: float, alpha: float) -> None:
    assert share(a_year, claims) == pytest.approx(alpha)
