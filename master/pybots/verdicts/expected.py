"""Decides what a recipe's expected failures mean for what tests did: quiet, expired, or passing again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pybots.registry.recipe import ExpectedFailure
from pybots.results.outcome import BAD, Outcome
from pybots.verdicts.evidence import Kind

_FAILS = frozenset({Kind.FAILED, Kind.ERROR})
_NAMED = 5


class Standing(StrEnum):
    """How an expectation stands."""

    QUIET = "quiet"
    """It fails, as expected; or nothing is known of it."""
    EXPIRED = "expired"
    """Its day has passed, and it does not pass."""
    PASSES = "passes"
    """It passes on every track that runs it: it need not be expected any more."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One test that is known to fail."""

    test: str
    reason: str
    expires: date
    """The last day on which its failing is no news."""


def by_test(groups: Sequence[ExpectedFailure]) -> dict[str, Expectation]:
    """Return the expectations of a recipe, by test."""
    return {test: Expectation(test, group.reason, group.expires) for group in groups for test in group.tests}


def is_expected(expectations: Mapping[str, Expectation], test: str, kind: Kind, day: date) -> bool:
    """Say whether it is no news on *day* that *test* differs from what it was as *kind* says."""
    expectation = expectations.get(test)
    return expectation is not None and kind in _FAILS and day <= expectation.expires


def standing(expectation: Expectation, outcomes: Sequence[Outcome], day: date) -> Standing:
    """Return how *expectation* stands on *day*, from what the test did last on each track."""
    telling = [outcome for outcome in outcomes if outcome not in {Outcome.ABSENT, Outcome.SKIPPED}]
    if telling and not any(outcome in BAD or outcome is Outcome.EXPECTED_FAILURE for outcome in telling):
        return Standing.PASSES
    return Standing.EXPIRED if day > expectation.expires else Standing.QUIET


def report(
    expectations: Mapping[str, Expectation], outcomes: Mapping[str, Sequence[Outcome]], day: date
) -> str:
    """Return what people should know of a recipe's expectations on *day*, a line for each kind; mostly nothing."""
    found = {test: standing(each, outcomes.get(test, ()), day) for test, each in expectations.items()}
    passing = [test for test, stands in found.items() if stands is Standing.PASSES]
    expired = [test for test, stands in found.items() if stands is Standing.EXPIRED]
    lines = []
    if passing:
        lines.append(
            f"expected to fail, and passing on every track: {_some(passing)}; take it out of the recipe"
        )
    if expired:
        first = expectations[expired[0]]
        lines.append(
            f"expected to fail until {first.expires}, which has passed: {_some(expired)} ({first.reason}); "
            "give a later day, or have it mended"
        )
    return "\n".join(lines)


def expired(groups: Sequence[ExpectedFailure], day: date) -> list[Expectation]:
    """Return the expectations whose day has passed, the longest passed first."""
    return sorted(
        (each for each in by_test(groups).values() if day > each.expires), key=lambda each: each.expires
    )


def _some(tests: Sequence[str]) -> str:
    more = len(tests) - _NAMED
    return ", ".join(tests[:_NAMED]) + (f" and {more} more" if more > 0 else "")
