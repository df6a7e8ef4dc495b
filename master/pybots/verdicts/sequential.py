"""Decides how probable it is, after any number of trials, that a difference is chance: a posterior in closed form.

Every outcome is a failure or not; a marginal likelihood is what a hypothesis expected of so many failures in so many
runs, before it saw any. `docs/explanation/verdicts.md` has the model and where its constants come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import exp, fsum, inf, lgamma, log
from typing import NamedTuple

CHANGE = 1e-3
"""Prior: one axis broke this item with this very run."""
PASSING_STATE = 2e-4
"""Prior: with this very run began some time (an outage, a load) in which the item's past says nothing."""
FLAKY = 0.05
"""Prior: an item is flaky at all."""
_FLAKY_RATE = (0.7, 4.0)
_ANY_RATE = (1.0, 1.0)
_BROKEN_RATE = (20.0, 1.0)
_BROKEN_FOR_GOOD = 0.9


class Counts(NamedTuple):
    """In so many runs an item was bad so often."""

    bad: int = 0
    runs: int = 0

    def and_also(self, other: Counts) -> Counts:
        """Return the two taken together."""
        return Counts(self.bad + other.bad, self.runs + other.runs)


NONE = Counts()


def together(counts: Iterable[Counts]) -> Counts:
    """Return all of *counts* as one."""
    bad, runs = 0, 0
    for one in counts:
        bad += one.bad
        runs += one.runs
    return Counts(bad, runs)


@lru_cache(maxsize=65536)
def log_as_ever(counts: Counts) -> float:
    """Return the log marginal likelihood of *counts* where nothing changed: never bad, or at one flaky rate."""
    flaky = log(FLAKY) + _log_beta_binomial(counts, _FLAKY_RATE)
    return log_sum([log(1 - FLAKY), flaky]) if counts.bad == 0 else flaky


@lru_cache(maxsize=65536)
def log_in_a_state(counts: Counts) -> float:
    """Return that of a passing state: some rate, of which nothing is known."""
    return _log_beta_binomial(counts, _ANY_RATE)


@lru_cache(maxsize=65536)
def log_broken(counts: Counts) -> float:
    """Return that of a broken item: bad always or nearly, or else at some rate."""
    nearly_always = log(_BROKEN_FOR_GOOD) + _log_beta_binomial(counts, _BROKEN_RATE)
    return log_sum([nearly_always, log(1 - _BROKEN_FOR_GOOD) + _log_beta_binomial(counts, _ANY_RATE)])


def log_sum(logs: Iterable[float]) -> float:
    """Return the logarithm of the sum of what *logs* are logarithms of; minus infinity of none."""
    values = list(logs)
    highest = max(values, default=-inf)
    if highest == -inf:
        return -inf
    return highest + log(fsum(exp(value - highest) for value in values))


def probability(log_this: float, log_other: float) -> float:
    """Return how probable the one of two is, given the logarithms of their weights."""
    return exp(log_this - log_sum([log_this, log_other]))


class Past(NamedTuple):
    """One way to cut an item's past, at the run where a change or a state would have begun."""

    before: Counts
    since: Counts
    """From that run on, the subject and what came after it included."""
    states: int = 0
    """So often had it been bad for a while before."""


def log_chance(pasts: Iterable[Past], trials: Counts, *, wary: bool = False) -> float:
    """Return the log weight of chance: *trials*, whatever they put back, all had one rate.

    As ever since the beginning, or in a state that began where one of *pasts* is cut. *wary*: an item that was in such
    states before comes into one as often again; what is claimed has to hold against that too.
    """
    cuts = list(pasts)
    whole = cuts[0].before.and_also(cuts[0].since).and_also(trials)
    states = [
        log(_state(cut, wary=wary)) + log_as_ever(cut.before) + log_in_a_state(cut.since.and_also(trials))
        for cut in cuts
    ]
    return log_sum([log_as_ever(whole), *states])


def log_change(pasts: Iterable[Past], broken: Counts, as_before: Counts, prior: float) -> float:
    """Return the log weight of a change: the trials in *broken* had what broke the item, those in *as_before* not."""
    return log(CHANGE * prior) + log_sum(
        log_as_ever(cut.before.and_also(as_before)) + log_broken(cut.since.and_also(broken)) for cut in pasts
    )


def _state(cut: Past, *, wary: bool) -> float:
    return max(PASSING_STATE, cut.states / (1 + cut.before.runs)) if wary else PASSING_STATE


def _log_beta_binomial(counts: Counts, rate: tuple[float, float]) -> float:
    a, b = rate
    return _log_beta(a + counts.bad, b + counts.runs - counts.bad) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
