"""What one test did, and what a report says as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What one test did."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "expected-failure"
    UNEXPECTED_PASS = "unexpected-pass"  # noqa: S105  (no password)
    ABSENT = "absent"


BAD = frozenset({Outcome.FAILED, Outcome.ERROR, Outcome.UNEXPECTED_PASS})

# A name may be reported twice: an error at teardown after a pass, a rerun, two parameters that read the same.
# The worst outcome then stands for it; a skip is worse than a pass, because less was tested.
WORST_FIRST = (
    Outcome.ERROR,
    Outcome.FAILED,
    Outcome.UNEXPECTED_PASS,
    Outcome.SKIPPED,
    Outcome.EXPECTED_FAILURE,
    Outcome.PASSED,
    Outcome.ABSENT,
)


class Failure(NamedTuple):
    """What a failing test said: bounded, but otherwise as its runner wrote it."""

    exception: str
    """The exception's type as the runner names it, or empty."""
    message: str
    traceback: str


class TestResult(NamedTuple):
    """One test in a report. `failure` is None for tests that passed; for a skip it holds the reason."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    failure: Failure | None = None


TestResult.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test class


@dataclass(frozen=True, slots=True)
class Report:
    """A parsed report: one result a name, in the report's order."""

    results: Mapping[str, TestResult] = field(default_factory=dict)
    problem: str = ""
    """Why the report could not be read to its end; empty when it could."""
    collection_errors: tuple[str, ...] = ()
    """Names of modules that could not be collected (they are in `results` as errors too)."""
    under_way: str = ""
    """The test that had started and never ended, where the report tells."""
    collected: int | None = None
    """How many tests the runner says that it collected; None where its report does not tell."""
    deselected: int | None = None
    """How many tests the runner says that it left out; None where its report does not tell."""

    def counts(self) -> Counter[Outcome]:
        """How many tests had each outcome."""
        outcomes = [result.outcome for result in self.results.values()]
        # Counted by identity, nearly all of them: a member of an enum takes long to hash.
        counts = Counter(outcome for outcome in outcomes if outcome is not Outcome.PASSED)
        passed = len(outcomes) - counts.total()
        return counts + Counter({Outcome.PASSED: passed})
