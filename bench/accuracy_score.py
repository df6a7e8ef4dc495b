"""Decides what judges' claims were worth, given the truth of a history; and sums that up over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from math import exp, lgamma, log, log1p

from bench.accuracy_farm import Claim, Judged
from bench.accuracy_history import Break, History
from pybots.verdicts.evidence import WHOLE_RUN, Axis, Difference, Kind


@dataclass(frozen=True)
class Score:
    """Sums over histories."""

    claims: int = 0
    false: int = 0
    """Claims of a regression where nothing had broken."""
    wrong_cause: int = 0
    """Claims of one that was there, with other axes."""
    wrong_time: int = 0
    """Claims of one that was there, with its axes, but at the baseline already: it had not shown there."""
    real: int = 0
    """Breaks that a subject run showed."""
    found: int = 0
    """Those of them that a claim named with its axes."""
    differences: int = 0
    executions: int = 0

    def __add__(self, other: Score) -> Score:
        """Return both together."""
        return Score(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def score(history: History, judged: Judged, differences: Sequence[tuple[int, int, Difference]]) -> Score:
    """Return what one judge's claims on one history were worth."""
    real = shown(history, differences)
    kinds = [_worth(history, claim) for claim in judged.claims]
    found = {one for worth in kinds for one in worth.found}
    return Score(
        len(kinds),
        sum(not worth.real and not worth.late for worth in kinds),
        sum(worth.real and not worth.right for worth in kinds),
        sum(worth.late for worth in kinds),
        len(real),
        sum(number in found for number in real),
        len(differences),
        judged.executions,
    )


@dataclass(frozen=True)
class _Worth:
    real: bool
    right: bool
    late: bool
    found: frozenset[int] = frozenset()


def _worth(history: History, claim: Claim) -> _Worth:
    began = [
        number
        for number, one in enumerate(history.breaks)
        if _concerns(one, claim.items, claim.kind) and _began(history, one, claim.baseline, claim.head)
    ]
    axes = frozenset(Axis(axis) for number in began for axis in history.breaks[number].axes)
    named = frozenset(
        number for number in began if {Axis(axis) for axis in history.breaks[number].axes} <= claim.axes
    )
    right = bool(named) and claim.axes <= axes
    late = not began and any(
        _concerns(one, claim.items, claim.kind)
        and _active(history, one, claim.head)
        and {Axis(axis) for axis in one.axes} == claim.axes
        for one in history.breaks
    )
    return _Worth(bool(began), right, late, named if right else frozenset())


def shown(history: History, differences: Iterable[tuple[int, int, Difference]]) -> list[int]:
    """Return the breaks, by their number, that some first-seen difference showed.

    Where two of them hit one test at once, in different ways, one may hide the other: that shows nothing.
    """
    seen = list(differences)
    return [
        number
        for number, one in enumerate(history.breaks)
        if any(_shows(history, one, *difference) for difference in seen)
    ]


def _shows(history: History, one: Break, head: int, before: int, difference: Difference) -> bool:
    if difference.kind.value != one.kind or not _concerns(one, (difference.item,), difference.kind.value):
        return False
    return _began(history, one, before, head) or (one.rate < 1 and _active(history, one, head))


def _concerns(one: Break, items: Sequence[str], kind: str) -> bool:
    if one.tests:
        return any(item in one.tests for item in items)
    # Behind a run that crashed, a suite that skips everything shows test by test.
    each = one.kind == Kind.SUITE_SKIPPED.value and kind == Kind.SKIPPED.value
    return each or WHOLE_RUN in items


def _began(history: History, one: Break, baseline: int, head: int) -> bool:
    return _active(history, one, head) and not _active(history, one, baseline)


def _active(history: History, one: Break, head: int) -> bool:
    contents = [history.content(Axis(axis), head) for axis in one.axes]
    return all(one.at <= content and (one.until is None or content < one.until) for content in contents)


def upper_bound(bad: int, of: int, confidence: float = 0.95) -> float:
    """Return Clopper and Pearson's one-sided upper bound of a share of which *bad* were seen in *of*; 1.0 of none."""
    if of == 0 or bad >= of:
        return 1.0
    low, high = bad / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(bad, of, middle) > 1 - confidence else (low, middle)
    return high


def lower_bound(good: int, of: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower bound of a share."""
    return 1 - upper_bound(of - good, of, confidence)


def _at_most(bad: int, of: int, share: float) -> float:
    return sum(
        exp(
            lgamma(of + 1)
            - lgamma(count + 1)
            - lgamma(of - count + 1)
            + count * log(share)
            + (of - count) * log1p(-share)
        )
        for count in range(bad + 1)
    )
