"""Decides what counts as a difference: of a single test, and of how a run ended as a whole.

A test or run that was bad at the last complete run too is known, and no difference. `history.py` says with which
place a difference is compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pybots.results.outcome import BAD, Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.evidence import Kind, Showing

RUNS_TO_MISS_A_TEST = 3
"""A test that is gone, or newly skipped, is missed only where so many complete runs had it."""

ALONE_WITHOUT_TESTS = frozenset({Kind.ENVIRONMENT_FAILED, Kind.INSTALL_FAILED, Kind.COLLECTION_FAILED})
"""What shows before any test runs: a trial that is `alone` then runs none of them (`RunSpecification.tests` is [])."""

ALONE_THE_TEST_UNDER_WAY = frozenset({Kind.CRASHED, Kind.TIMED_OUT, Kind.MEMORY_LIMIT})
"""A trial that is `alone` runs the test that was under way in the subject, where that is known; else the suite."""

ALONE_SOME_TESTS = frozenset({Kind.SUITE_SKIPPED})
"""A trial that is `alone` runs some of the tests that are newly skipped, where they can be named; else the suite."""

UNJUDGED = frozenset(
    {
        RunStatus.FETCH_FAILED,
        RunStatus.WORKER_LOST,
        RunStatus.WORKER_UNFIT,
        RunStatus.FARM_ERROR,
        RunStatus.CANCELLED,
    }
)
"""How a run ends for reasons that are the farm's, the worker's or the network's: it says nothing of any item."""

_OF_STATUS = {
    RunStatus.ENVIRONMENT_FAILED: Kind.ENVIRONMENT_FAILED,
    RunStatus.INSTALL_FAILED: Kind.INSTALL_FAILED,
    RunStatus.COLLECTION_FAILED: Kind.COLLECTION_FAILED,
    RunStatus.CRASHED: Kind.CRASHED,
    RunStatus.TIMED_OUT: Kind.TIMED_OUT,
    RunStatus.MEMORY_LIMIT: Kind.MEMORY_LIMIT,
    RunStatus.DISK_LIMIT: Kind.DISK_LIMIT,
    RunStatus.REPORT_INVALID: Kind.REPORT_INVALID,
    RunStatus.NO_TESTS: Kind.NO_TESTS,
}
_ENDED_WELL = frozenset({RunStatus.PASSED, RunStatus.TESTS_FAILED})
_BEFORE_THE_SUITE = frozenset({RunStatus.ENVIRONMENT_FAILED, RunStatus.INSTALL_FAILED})

# An address in memory, a date, a time, a random UUID: the name is another one in each run.
_UNSTABLE = re.compile(
    r"0x[0-9a-fA-F]{6,}|\bat 0x|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-",
)


def difference_of(
    before: Outcome | None, after: Outcome, runs_there: int = RUNS_TO_MISS_A_TEST
) -> Kind | None:
    """Return how a test differs from what it was, or None where it does not, or where that is no news.

    *before* is its outcome at the last complete run; where that was skipped or absent and *after* is bad, the last
    one that was neither (`history.last_telling`); None where no run on the track had the test: it may be
    new. *runs_there*: in how many complete runs it was neither skipped nor absent.
    """
    if before in BAD:
        return None
    match after:
        case Outcome.FAILED:
            return Kind.FAILED
        case Outcome.ERROR:
            return Kind.ERROR
        case Outcome.UNEXPECTED_PASS:
            return Kind.UNEXPECTED_PASS
        case Outcome.SKIPPED:
            return Kind.SKIPPED if _missed(before, runs_there) else None
        case Outcome.ABSENT:
            return Kind.VANISHED if _missed(before, runs_there) else None
        case Outcome.PASSED | Outcome.EXPECTED_FAILURE:
            return None


def whole_run(
    before: RunStatus | None,
    after: RunStatus,
    counts_before: Mapping[Outcome, int] | None = None,
    counts_after: Mapping[Outcome, int] | None = None,
) -> Kind | None:
    """Return how a run as a whole differs from the one before (the last that was judged), or None.

    None for *before* where the project is new on the track. The counts are those of the two reports. With
    `suite-skipped` its tests are no differences of their own (`is_covered`).
    """
    if after in UNJUDGED or (before is not None and before not in _ENDED_WELL and after not in _ENDED_WELL):
        return None
    if after in _ENDED_WELL:
        return Kind.SUITE_SKIPPED if _skips_everything(counts_before or {}, counts_after or {}) else None
    return _OF_STATUS[after]


def is_covered(whole: Kind | None, item: Kind) -> bool:
    """Say whether a test's difference is only what the run as a whole shows already."""
    match whole:
        case None | Kind.DISK_LIMIT | Kind.REPORT_INVALID | Kind.FETCH_FAILED:
            return False
        case Kind.SUITE_SKIPPED:
            return item is Kind.SKIPPED
        case Kind.CRASHED | Kind.TIMED_OUT | Kind.MEMORY_LIMIT | Kind.NO_TESTS:
            return item in {Kind.VANISHED, Kind.SKIPPED}
        case Kind.ENVIRONMENT_FAILED | Kind.INSTALL_FAILED | Kind.COLLECTION_FAILED:
            return True
        case _:
            return False


def why_quiet(name: str, kind: Kind) -> str:
    """Return why nothing is said of a test that is gone or skipped, or an empty text where there is no reason."""
    if kind in {Kind.VANISHED, Kind.SKIPPED} and _UNSTABLE.search(name):
        return "its name changes from run to run"
    return ""


def showing(kind: Kind, outcome: Outcome) -> Showing:
    """Return what one outcome of a test says of a difference of *kind*; for an asked test that no report names, ABSENT.

    Bad in another way is still bad; what was skipped, or not there, says nothing of a failure.
    """
    match kind:
        case Kind.VANISHED:
            return Showing.DIFFERS if outcome is Outcome.ABSENT else Showing.AGREES
        case Kind.SKIPPED | Kind.SUITE_SKIPPED:
            if outcome is Outcome.ABSENT:
                return Showing.UNKNOWN
            return Showing.DIFFERS if outcome is Outcome.SKIPPED else Showing.AGREES
        case _:
            if outcome in BAD:
                return Showing.DIFFERS
            nothing = outcome in {Outcome.SKIPPED, Outcome.ABSENT}
            return Showing.UNKNOWN if nothing else Showing.AGREES


def whole_showing(
    kind: Kind,
    status: RunStatus,
    counts: Mapping[Outcome, int] | None = None,
    *,
    ran_no_tests: bool = False,
) -> Showing:
    """Return what the end of a run says of a difference of the run as a whole.

    *ran_no_tests*: it was asked to run none, and came to the point where it would have.
    """
    if status in UNJUDGED:
        return Showing.UNKNOWN
    if kind is Kind.SUITE_SKIPPED:
        if status not in _ENDED_WELL:
            return Showing.UNKNOWN
        return Showing.DIFFERS if _all_skipped(counts or {}) else Showing.AGREES
    if status in _ENDED_WELL or (ran_no_tests and status is RunStatus.NO_TESTS):
        return Showing.AGREES
    if status in _BEFORE_THE_SUITE and kind not in ALONE_WITHOUT_TESTS:
        return Showing.UNKNOWN  # it never came to where the subject went wrong
    if _OF_STATUS[status] is Kind.NO_TESTS and kind in ALONE_THE_TEST_UNDER_WAY:
        return Showing.UNKNOWN
    return Showing.DIFFERS


def _missed(before: Outcome | None, runs_there: int) -> bool:
    return before in {Outcome.PASSED, Outcome.EXPECTED_FAILURE} and runs_there >= RUNS_TO_MISS_A_TEST


def _skips_everything(before: Mapping[Outcome, int], after: Mapping[Outcome, int]) -> bool:
    return _all_skipped(after) and before.get(Outcome.PASSED, 0) > 0


def _all_skipped(counts: Mapping[Outcome, int]) -> bool:
    total = sum(count for outcome, count in counts.items() if outcome is not Outcome.ABSENT)
    return total > 0 and counts.get(Outcome.SKIPPED, 0) == total
