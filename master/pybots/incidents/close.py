"""Decides when an item no longer shows an incident: from the sequence of what the subject runs since then showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log

from pybots.verdicts.evidence import Showing

MISTAKEN = 0.01
"""The largest chance at which passes are taken for a fix although nothing was fixed. It costs one reopening."""
LET_GO_RUNS = 10
"""An item of which so many complete runs in a row said nothing (skipped, taken out of the suite) is let go."""
# What is broken mostly fails every time; else any rate is as likely as any other (as in verdicts).
_EVERY_TIME = 0.9
_FAILS_EVERY_TIME = 0.999
_LARGEST = 700.0  # of what `exp` takes


@dataclass(frozen=True, slots=True)
class Shown:
    """What one complete subject run showed of an item, and where it stands (`database.tables`)."""

    place: int
    shows: Showing


@dataclass(frozen=True, slots=True)
class Tried:
    """What the trials of the verdict showed of the item on the subject's side: how regularly it fails."""

    failed: int = 0
    passed: int = 0


class Ended(StrEnum):
    """Why an item no longer shows an incident."""

    PASSES = "passes"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class End:
    """From where on an item no longer shows the incident."""

    why: Ended
    place: int


def ended(tried: Tried, since: Sequence[Shown], *, may_go: bool = True) -> End | None:
    """Return from where on the item is well, or gone; None while it may still be broken.

    *since* is every complete subject run from the first bad one on, by place. *may_go*: whether the item can be let go;
    a run as a whole is always there. A test that failed each time it was tried is fixed at its first pass. One that
    fails now and then has to pass so often that, still broken, it would do so in one case of a hundred at most. What
    comes after the end does not count: breaking again is another matter.
    """
    failed, passed = tried.failed, tried.passed
    passes: list[Shown] = []
    silent: list[Shown] = []
    for shown in since:
        silent = [*silent, shown] if shown.shows is Showing.UNKNOWN else []
        if shown.shows is Showing.DIFFERS:
            failed, passed, passes = failed + 1, passed + len(passes), []
        elif shown.shows is Showing.AGREES:
            passes.append(shown)
            if chance_of_passes(failed, passed, len(passes)) <= MISTAKEN:
                return End(Ended.PASSES, passes[0].place)
        if may_go and len(silent) == LET_GO_RUNS:
            return End(Ended.GONE, silent[0].place)
    return None


def chance_of_passes(failed: int, passed: int, passes: int) -> float:
    """Return how likely *passes* passes in a row are for an item that failed and passed so often and is still broken.

    >>> chance_of_passes(1, 0, 1) < 0.05, chance_of_passes(6, 0, 1) < 0.01, chance_of_passes(3, 3, 1) > 0.4
    (True, True, True)
    """
    misses = log(1 - _FAILS_EVERY_TIME)
    regular = log(_EVERY_TIME) + failed * log(_FAILS_EVERY_TIME) + passed * misses
    any_rate = log(1 - _EVERY_TIME) + _log_beta(failed + 1, passed + 1)
    share = 1 / (1 + exp(min(any_rate - regular, _LARGEST)))
    any_passes = exp(_log_beta(failed + 1, passed + passes + 1) - _log_beta(failed + 1, passed + 1))
    return share * exp(passes * misses) + (1 - share) * any_passes


def _log_beta(a: int, b: int) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
