"""Decides how a run ended: the first thing that went wrong, from what the worker saw and the report says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pybots.runs.status import RunStatus
from pybots_worker.contract import Ending, ReportFormat, RunResult

_BAD = ("failed", "error", "unexpected-pass")
_DETAIL_LENGTH = 500
_BEFORE_THE_SUITE = {
    Ending.FETCH_FAILED: RunStatus.FETCH_FAILED,
    Ending.ENVIRONMENT_FAILED: RunStatus.ENVIRONMENT_FAILED,
    Ending.INSTALL_FAILED: RunStatus.INSTALL_FAILED,
    Ending.UNFIT: RunStatus.WORKER_UNFIT,
    # Of a step before the suite, or of the suite: the detail says which limit, and at what it was met.
    Ending.MEMORY_LIMIT: RunStatus.MEMORY_LIMIT,
    Ending.DISK_LIMIT: RunStatus.DISK_LIMIT,
}
_LIMITS = {Ending.WALL_LIMIT: "the wall-clock limit", Ending.QUIET_LIMIT: "the inactivity limit"}

# Reports that end with a line of their own; in the others the exit status alone tells whether the suite
# ran to its end: pytest and trial exit with 0 or 1 then, and with others when they were interrupted.
_SELF_CLOSING = frozenset({ReportFormat.UNITTEST, ReportFormat.DJANGO})
_RAN_TO_ITS_END = frozenset({0, 1})
_NOTHING_COLLECTED = 5  # pytest's


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What of a report this decision needs. `counts` maps an outcome's word to how many tests had it."""

    format: ReportFormat
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    collection_errors: tuple[str, ...] = ()
    under_way: str = ""
    asked: int | None = None
    """How many tests were asked for by name (`RunSpecification.tests`); None: the whole suite."""


class Conclusion(NamedTuple):
    """How a run ended; *complete* when all that was asked for ran, so that a test not reported is absent."""

    status: RunStatus
    detail: str
    complete: bool


def conclude(result: RunResult, summary: ReportSummary) -> Conclusion:
    """Return how a run ended. *summary* is of an empty report where there was none.

    - A suite that was stopped or crashed is `timed-out` or `crashed`, whatever its report says: what it had
      reported by then counts for its tests, and nothing is said of the others.
    - Collection errors come first in a suite, so that they go before a broken report and failing tests.
    - A suite that skips every test has `passed`; that less was tested is for verdicts to see. One that
      collected nothing has `no-tests`, and is not complete: it says nothing of single tests.
    - Every test passed and the exit status is not 0: report and suite contradict each other, and neither is
      believed (`report-invalid`). A coverage threshold does this, an exit hook, an interpreter that fails
      at shutdown; the first belongs out of the recipe, and the others are what the farm looks for.
    - A test failed and the exit status is 0: `tests-failed`; a report is believed against its own side.
    - Where no test was asked for, the run is judged on its ending alone: a report without tests is what is
      expected. Where tests were asked for and none of them is there, it has `no-tests`, and is complete.
    """
    if result.ending in _BEFORE_THE_SUITE:
        return _conclusion(_BEFORE_THE_SUITE[result.ending], result.detail)
    if result.ending in _LIMITS:
        stopped = f"stopped at {_LIMITS[result.ending]} after {result.suite_seconds:.0f} s"
        return _noting(result, _conclusion(RunStatus.TIMED_OUT, f"{stopped}{_while(summary)}"))
    if result.ending is Ending.CRASHED:
        crashed = f"{result.signal or 'ended by a signal'}{_while(summary)}"
        return _noting(result, _conclusion(RunStatus.CRASHED, crashed))
    return _noting(result, _exited(result, summary))


def _noting(result: RunResult, conclusion: Conclusion) -> Conclusion:
    """Add what the worker saw besides: processes left running, limits met that did not end the suite."""
    _, _, rest = result.detail.partition("; ")
    notes = result.detail if result.ending is Ending.EXITED else rest
    if not notes:
        return conclusion
    said = f"{conclusion.detail}; {notes}" if conclusion.detail else notes
    return conclusion._replace(detail=said[:_DETAIL_LENGTH])


def _exited(result: RunResult, summary: ReportSummary) -> Conclusion:
    if summary.collection_errors:
        names = ", ".join(summary.collection_errors[:5])
        more = len(summary.collection_errors) - 5
        return _conclusion(RunStatus.COLLECTION_FAILED, f"{names} and {more} more" if more > 0 else names)
    if summary.asked is not None and result.tests_selected and _none_ran(result, summary):
        return _by_exit_status(result, summary, summary.asked)
    broken = _what_is_wrong_with_the_report(result, summary)
    if broken:
        return _conclusion(RunStatus.REPORT_INVALID, broken)
    return _by_outcomes(result, summary)


def _none_ran(result: RunResult, summary: ReportSummary) -> bool:
    total = sum(summary.counts.values())
    only_skipped = total == summary.counts.get(
        "skipped", 0
    )  # modules, which are skipped while they are collected
    return (
        total == 0 or _only_modules_skipped(result, summary, total) or (summary.asked == 0 and only_skipped)
    )


def _by_exit_status(result: RunResult, summary: ReportSummary, asked: int) -> Conclusion:
    if result.exit_status not in {0, _NOTHING_COLLECTED}:
        why = f"no test ran, and the suite {_exit(result)}{_pytest_says(result, summary)}; see the log"
        return _conclusion(RunStatus.REPORT_INVALID, why)
    if asked == 0:
        return _conclusion(RunStatus.PASSED, "no test was asked for", complete=True)
    what = "the test that was asked for is not" if asked == 1 else f"none of the {asked} tests asked for is"
    return _conclusion(RunStatus.NO_TESTS, f"{what} there", complete=True)


def _what_is_wrong_with_the_report(result: RunResult, summary: ReportSummary) -> str:
    if not result.report_present:
        return f"no report was written; the suite {_exit(result)}{_pytest_says(result, summary)}"
    if result.report_truncated:
        return "the report was larger than its limit, and is cut"
    if summary.problem:
        return f"{summary.problem}; the suite {_exit(result)}"
    return ""


def _by_outcomes(result: RunResult, summary: ReportSummary) -> Conclusion:
    total = sum(summary.counts.values())
    bad = {word: summary.counts.get(word, 0) for word in _BAD if summary.counts.get(word, 0)}
    to_its_end = summary.format in _SELF_CLOSING or result.exit_status in _RAN_TO_ITS_END
    if bad:
        detail = ", ".join(f"{count} {word}" for word, count in bad.items())
        return _conclusion(RunStatus.TESTS_FAILED, f"{detail} of {total}", complete=to_its_end)
    if total == 0 or _only_modules_skipped(result, summary, total):
        return _conclusion(RunStatus.NO_TESTS, f"no test was collected; the suite {_exit(result)}")
    if result.exit_status != 0 and not _unittest_skipped_all(result, summary, total):
        why = f"no test failed, but the suite {_exit(result)}{_pytest_says(result, summary)}; see the log"
        return _conclusion(RunStatus.REPORT_INVALID, why)
    return _conclusion(RunStatus.PASSED, "", complete=True)


def _only_modules_skipped(result: RunResult, summary: ReportSummary, total: int) -> bool:
    # pytest reports a module that skips itself like a test, and says by its status that there was none.
    skipped = summary.counts.get("skipped", 0)
    pytest = summary.format is ReportFormat.JUNIT
    return pytest and result.exit_status == _NOTHING_COLLECTED and skipped == total


def _unittest_skipped_all(result: RunResult, summary: ReportSummary, total: int) -> bool:
    # Since CPython 3.12 unittest's own main exits with 5 where every test was skipped.
    unittest = summary.format in _SELF_CLOSING
    return unittest and result.exit_status == _NOTHING_COLLECTED and summary.counts.get("skipped", 0) == total


def _pytest_says(result: RunResult, summary: ReportSummary) -> str:
    meanings = {2: "interrupted", 3: "internal error", 4: "wrong use of its command line", 5: "no tests"}
    if summary.format is not ReportFormat.JUNIT or result.exit_status not in meanings:
        return ""
    return f" (pytest's: {meanings[result.exit_status]})"


def _exit(result: RunResult) -> str:
    return "gave no exit status" if result.exit_status is None else f"exited with status {result.exit_status}"


def _while(summary: ReportSummary) -> str:
    return f" in {summary.under_way}" if summary.under_way else ""


def _conclusion(status: RunStatus, detail: str, *, complete: bool = False) -> Conclusion:
    return Conclusion(status, detail[:_DETAIL_LENGTH], complete)
