"""Decides what is said of one item, or which trials it needs next: alone first, then in its suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybots.verdicts import say
from pybots.verdicts.assess import Ask, Claim, Dismissed, Manner, Step, Stuck, assess
from pybots.verdicts.axes import ORDER, involved
from pybots.verdicts.compare import ALONE_SOME_TESTS, ALONE_THE_TEST_UNDER_WAY, ALONE_WITHOUT_TESTS
from pybots.verdicts.evidence import SUBJECT, WHOLE_RUN, Axis, Back, Comparison, Difference, Showing
from pybots.verdicts.gathered import Gathered
from pybots.verdicts.history import WORTH_A_TRIAL, baseline_place, observed, pasts, suspicion
from pybots.verdicts.sequential import Counts, together
from pybots.verdicts.verdict import Cause, Verdict

ALONE_LIMIT = 120
SUITE_LIMIT = 40
ITEM_LIMIT = ALONE_LIMIT + SUITE_LIMIT + 20
"""Trials that one item may have: alone, in its suite, and in all, those that say nothing included."""
PASSES_ALONE = 5
"""So often must it pass alone before its suite is run, which costs as many executions as that has tests; ..."""
WORTH_A_SUITE = 0.6
"""... and, of what was bad before, as probable must a change be."""
RUNS_AWAITED = 3
"""What passes alone is looked at in so many later subject runs, which cost nothing, before its suite is run again."""


@dataclass(frozen=True, slots=True)
class Request:
    """One trial for one item: what is put back, in which manner, and whether on another worker than the home one."""

    back: Back
    alone: bool
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Requests:
    """Trials, in this order."""

    trials: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """The next subject run says more, at no cost."""


Next = Verdict | Requests | Wait


@dataclass(frozen=True)
class Item:
    """One difference of a comparison, and what has been gathered."""

    comparison: Comparison
    difference: Difference
    gathered: Gathered
    alpha: float

    @property
    def name(self) -> str:
        """Which item it is."""
        return self.difference.item

    def readings(self, *, alone: bool) -> Mapping[Back, Counts]:
        """Return what its trials in one manner showed on the home worker."""
        return self.gathered.readings(self.name, alone=alone)

    def seen(self, *, alone: bool) -> Counts:
        """Return how often it was bad in all of those."""
        return together(self.readings(alone=alone).values())

    def verdict(self, cause: Cause, reason: str, **more: Any) -> Verdict:
        """Return a verdict on it."""
        evidence = self.gathered.keys(self.name)
        return Verdict(self.name, self.difference.kind, cause, reason, evidence=evidence, **more)

    def manner(self, *, alone: bool) -> Manner:
        """Return what there is to assess in one manner."""
        holes = self.gathered.holes(self.name, alone=alone)
        limit = ALONE_LIMIT if alone else SUITE_LIMIT
        cuts = pasts(self.difference)
        patient = alone or not self.readings(alone=True)
        readings = self.readings(alone=alone)
        return Manner(cuts, self.comparison.moved, readings, holes, self.alpha, limit, patient)


def next_of(item: Item) -> Next:
    """Return the verdict on an item, or what it needs for one."""
    why = cannot_go_on(item)
    if why:
        return item.verdict(Cause.UNDECIDED, why)
    tried = item.seen(alone=True).runs or item.seen(alone=False).runs
    if not tried and _comes_and_goes(item.difference) and suspicion(item.difference) < WORTH_A_TRIAL:
        return _quiet(item)
    if not _can_be_alone(item):
        return _in_its_suite(item)
    step = assess(item.manner(alone=True))
    if not isinstance(step, Dismissed):
        return _told(item, step, alone=True)
    return _not_shown_alone(item)


def cannot_go_on(item: Item) -> str:
    """Return why no more trials of an item can be asked for; nothing where they can."""
    if item.gathered.home is None:
        return say.NO_WORKER
    return say.TOO_MANY if item.gathered.asked(item.name) >= ITEM_LIMIT else ""


def _quiet(item: Item) -> Next:
    """Of what fails now and then already: nothing, until its failures no longer agree with that."""
    waits = item.comparison.more_expected and Showing.AGREES not in item.difference.later
    return Wait() if waits else _flaky(item)


def _comes_and_goes(difference: Difference) -> bool:
    return any(stretch.shows is Showing.DIFFERS for stretch in difference.history)


def _can_be_alone(item: Item) -> bool:
    whole = item.name == WHOLE_RUN
    possible = not whole or item.difference.kind in _WHOLE_RUN_ALONE
    return possible and not item.gathered.cannot_be_alone(item.name)


def _not_shown_alone(item: Item) -> Next:
    alone = item.seen(alone=True)
    if alone.bad:
        return _whatever_is_put_back(item, alone=True) if alone.bad == alone.runs else _flaky(item)
    known = _comes_and_goes(item.difference) and suspicion(item.difference) < WORTH_A_SUITE
    if known or Showing.AGREES in item.difference.later:
        return _flaky(item)
    tried = item.seen(alone=False).runs
    if not tried and item.comparison.more_expected and len(item.difference.later) < RUNS_AWAITED:
        return Wait()
    if alone.runs < PASSES_ALONE:
        return Requests((Request(SUBJECT, alone=True),) * (PASSES_ALONE - alone.runs))
    return _in_its_suite(item)


def _in_its_suite(item: Item) -> Next:
    step = assess(item.manner(alone=False))
    if not isinstance(step, Dismissed):
        return _told(item, step, alone=False)
    suite = item.seen(alone=False)
    return _whatever_is_put_back(item, alone=False) if suite.bad == suite.runs else _flaky(item)


def _told(item: Item, step: Step, *, alone: bool) -> Next:
    match step:
        case Ask(backs):
            return Requests(tuple(Request(back, alone) for back in backs))
        case Stuck(reason):
            return item.verdict(Cause.UNDECIDED, reason)
        case Claim(fault, chance):
            axes = involved(fault)
            moved, readings = item.comparison.moved, item.readings(alone=alone)
            worker = item.gathered.home or item.comparison.worker
            reason = say.of_claim(fault, moved, readings, worker, alone=alone)
            together_only = not alone and bool(item.readings(alone=True))
            return item.verdict(
                _CAUSE[axes[0]], reason, axes=axes, chance=chance, only_together=together_only
            )
        case Dismissed():
            return _flaky(item)


def _whatever_is_put_back(item: Item, *, alone: bool) -> Next:
    if baseline_place(item.difference.history) is None:
        return item.verdict(Cause.UNDECIDED, say.NEW)
    elsewhere = item.gathered.elsewhere(item.name)
    if not elsewhere.runs and not item.gathered.nowhere_else(item.name):
        return Requests((Request(SUBJECT, alone, elsewhere=True),))
    seen = item.seen(alone=alone)
    if elsewhere.bad < elsewhere.runs:
        return item.verdict(Cause.WORKER, say.of_worker(item.gathered.home or "", seen))
    return item.verdict(Cause.UNDECIDED, say.of_world(seen, elsewhere))


def _flaky(item: Item) -> Verdict:
    trials = item.seen(alone=True).and_also(item.seen(alone=False))
    counts = observed(item.difference).and_also(trials)
    rate = counts.bad / counts.runs
    later_agrees = Showing.AGREES in item.difference.later
    return item.verdict(Cause.FLAKY, say.of_flaky(rate, trials, later_agrees), rate=rate)


_WHOLE_RUN_ALONE = ALONE_WITHOUT_TESTS | ALONE_THE_TEST_UNDER_WAY | ALONE_SOME_TESTS
_CAUSE = {
    Axis.INTERPRETER: Cause.INTERPRETER,
    Axis.DEPENDENCY: Cause.DEPENDENCY,
    Axis.PROJECT: Cause.PROJECT,
}
assert set(_CAUSE) == set(ORDER)
