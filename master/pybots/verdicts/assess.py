"""Decides what the trials of one item in one manner (alone, or in its suite) come to, and which are asked next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

from pybots.verdicts.axes import Fault, breaks, edges, faults, vertices
from pybots.verdicts.evidence import SUBJECT, Axis, Back
from pybots.verdicts.sequential import (
    NONE,
    Counts,
    Past,
    log_chance,
    log_change,
    log_sum,
    probability,
    together,
)

NOT_A_CHANGE = 0.02
"""A change that is less probable than this is given up, ..."""
PATIENCE = 2.0
"""... and with every so many trials one that is as much more probable: one that is real gains faster than that."""
RIGHT_AXES = 0.999
"""As probable must it be, of a change, that it is this one of those that the axes allow."""
PAIRS_ONE_BY_ONE = 2
"""What is chance mostly shows it in the first pairs; the others are then asked for at once."""
MOST_AT_ONCE = 8
ENOUGH_TO_SEE = 8
RAREST = 1 / 6
"""What fails less often than this in so many of the subject's trials is given up: to prove it would take too many."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is known of an item in one manner of running it."""

    pasts: Sequence[Past]
    moved: frozenset[Axis]
    readings: Mapping[Back, Counts]
    holes: frozenset[Back]
    alpha: float
    limit: int
    """At most so many trials."""
    patient: bool = True
    """Whether it may fail now and then; else the first trial in which the subject does not gives it up."""

    def read(self, back: Back) -> Counts:
        """Return what was seen where *back* was put back."""
        return self.readings.get(back, NONE)


@dataclass(frozen=True, slots=True)
class Claim:
    """These axes make the difference."""

    fault: Fault
    chance: float


@dataclass(frozen=True, slots=True)
class Dismissed:
    """No axis makes it, or not in this manner."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Try these, in this order."""

    backs: tuple[Back, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """It cannot be decided."""

    reason: str


Step = Claim | Dismissed | Ask | Stuck


def assess(manner: Manner) -> Step:
    """Return what is next for an item."""
    subject = manner.read(SUBJECT)
    if not subject.runs:
        return Stuck("the subject cannot be run again") if SUBJECT in manner.holes else Ask((SUBJECT,))
    if subject.bad < subject.runs and not manner.patient:
        return Dismissed()
    if not subject.bad and _nothing_came_and_went(manner.pasts):
        return Dismissed()
    if subject.runs >= ENOUGH_TO_SEE and subject.bad < RAREST * subject.runs:
        return Dismissed()
    log_faults = _weigh(manner)
    trials = together(manner.readings.values())
    log_of_a_change = log_sum(log_faults.values())
    chance = probability(log_chance(manner.pasts, trials), log_of_a_change)
    if 1 - chance < NOT_A_CHANGE * max(1.0, _trials(manner) / PATIENCE):
        return Dismissed()
    wary = probability(log_chance(manner.pasts, trials, wary=True), log_of_a_change)
    return _among(manner, log_faults, wary)


def _among(manner: Manner, log_faults: Mapping[Fault, float], chance: float) -> Step:
    best, *others = sorted(log_faults, key=lambda fault: -log_faults[fault])
    right = exp(log_faults[best] - log_sum(log_faults.values()))
    pair = _pair(manner, best)
    if pair and chance <= manner.alpha and right >= RIGHT_AXES and _seen(manner, *pair):
        return Claim(best, chance)
    if _trials(manner) >= manner.limit:
        return Stuck(
            "the rates lie too near to each other to be told apart in as many trials as one item may have"
        )
    singles = tuple(frozenset({axis}) for axis in sorted(manner.moved))
    new = tuple(back for back in singles if not manner.read(back).runs and back not in manner.holes)
    if new:
        return Ask(new)
    everything = frozenset(manner.moved)
    if not _any_good(manner) and not manner.read(everything).runs and everything not in manner.holes:
        return Ask((everything,))
    return _narrow(manner, best, others[:1] if right < RIGHT_AXES else [], pair)


def _narrow(manner: Manner, best: Fault, rivals: Sequence[Fault], pair: tuple[Back, Back] | None) -> Step:
    asked: list[Back] = []
    for rival in rivals:
        telling = [
            back
            for back in vertices(manner.moved)
            if breaks(best, back) is not breaks(rival, back) and back not in manner.holes
        ]
        if not telling:
            return Stuck("what would tell the causes apart cannot be run any more")
        asked.append(min(telling, key=lambda back: manner.read(back).runs))
    if pair is None:
        return Stuck("what it would have to be compared with cannot be run any more")
    return Ask((*asked, *_pairs(manner, *pair)))


def _pairs(manner: Manner, bad: Back, good: Back) -> list[Back]:
    """Return as many pairs as the budget needs where all goes on like this, each in another order than the one before.

    What alternates from run to run, such as a file that one leaves and the next takes away, is not taken for a change.
    """
    done = min(manner.read(bad).runs, manner.read(good).runs)
    enough = next((more for more in range(MOST_AT_ONCE) if _would_do(manner, bad, good, more)), MOST_AT_ONCE)
    count = 1 if done < PAIRS_ONE_BY_ONE else min(MOST_AT_ONCE, max(enough, 1))
    lag = manner.read(bad).runs - manner.read(good).runs
    found: list[Back] = [good] * max(0, min(lag, count)) + [bad] * max(0, min(-lag, count))
    for number in range(done + abs(lag), done + abs(lag) + count - min(abs(lag), count)):
        found += [bad, good] if number.bit_count() % 2 == 0 else [good, bad]
    return found


def _would_do(manner: Manner, bad: Back, good: Back, more: int) -> bool:
    readings = dict(manner.readings)
    readings[bad] = manner.read(bad).and_also(Counts(more, more))
    readings[good] = manner.read(good).and_also(Counts(0, more))
    imagined = replace(manner, readings=readings)
    log_of_chance = log_chance(manner.pasts, together(readings.values()), wary=True)
    return probability(log_of_chance, log_sum(_weigh(imagined).values())) <= manner.alpha


def _weigh(manner: Manner) -> dict[Fault, float]:
    found: dict[Fault, float] = {}
    for fault, prior in faults(manner.moved):
        broken = together(counts for back, counts in manner.readings.items() if breaks(fault, back))
        as_before = together(counts for back, counts in manner.readings.items() if not breaks(fault, back))
        found[fault] = log_change(manner.pasts, broken, as_before, prior)
    return found


def _pair(manner: Manner, fault: Fault) -> tuple[Back, Back] | None:
    possible = [pair for pair in edges(fault, manner.moved) if manner.holes.isdisjoint(pair)]
    return possible[0] if possible else None


def _seen(manner: Manner, bad: Back, good: Back) -> bool:
    return manner.read(bad).bad > 0 and manner.read(good).runs > manner.read(good).bad


def _any_good(manner: Manner) -> bool:
    return any(counts.runs > counts.bad for counts in manner.readings.values())


def _trials(manner: Manner) -> int:
    return sum(counts.runs for counts in manner.readings.values())


def _nothing_came_and_went(pasts: Sequence[Past]) -> bool:
    """Say whether nothing in the past makes a change likely that does not show in every run."""
    return len(pasts) == 1 or pasts[-1].since.bad == pasts[-1].since.runs
