from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots.runs.status import RunStatus
from pybots_worker.contract import Ending, ReportFormat, RunResult

JUNIT, SUBUNIT, UNITTEST = ReportFormat.JUNIT, ReportFormat.SUBUNIT, ReportFormat.UNITTEST


def result(ending: Ending = Ending.EXITED, status: int | None = 0, **values: Any) -> RunResult:
    defaults = {"key": "k", "phases": [], "seconds": 1, "report_present": True}
    return RunResult(ending=ending, exit_status=status, **{**defaults, **values})


def said(format: ReportFormat = JUNIT, **values: Any) -> ReportSummary:  # noqa: A002
    asked = values.pop("asked", None)
    counts = {key.replace("_", "-"): values.pop(key) for key in list(values) if isinstance(values[key], int)}
    return ReportSummary(format=format, counts=counts, asked=asked, **values)


def alone(status: int, **values: Any) -> RunResult:
    """The suite's runner was told which tests to run."""
    return result(status=status, tests_selected=True, **values)


WHOLE, PARTIAL = True, False
TABLE: dict[str, tuple[RunResult, ReportSummary, RunStatus, bool]] = {
    # before the suite: the worker's word
    "fetch": (result(Ending.FETCH_FAILED), said(), RunStatus.FETCH_FAILED, PARTIAL),
    "dependency": (result(Ending.ENVIRONMENT_FAILED), said(), RunStatus.ENVIRONMENT_FAILED, PARTIAL),
    "project": (result(Ending.INSTALL_FAILED), said(), RunStatus.INSTALL_FAILED, PARTIAL),
    "unfit": (result(Ending.UNFIT), said(), RunStatus.WORKER_UNFIT, PARTIAL),
    # single tests
    "none asked for": (alone(5), said(asked=0), RunStatus.PASSED, WHOLE),
    "none asked for, modules skip themselves": (alone(5), said(asked=0, skipped=2), RunStatus.PASSED, WHOLE),
    "none asked for, trial writes nothing": (
        alone(0),
        said(SUBUNIT, asked=0, problem="the report holds no subunit"),
        RunStatus.PASSED,
        WHOLE,
    ),
    "none asked for, no report": (
        alone(4, report_present=False),
        said(asked=0),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
    "none asked for, a module is broken": (
        alone(2),
        said(asked=0, error=1, collection_errors=("a",)),
        RunStatus.COLLECTION_FAILED,
        PARTIAL,
    ),
    "none asked for, all ran": (
        result(status=1),
        said(asked=0, failed=1, passed=1),
        RunStatus.TESTS_FAILED,
        WHOLE,
    ),
    "none asked for, there are none": (result(status=5), said(asked=0), RunStatus.NO_TESTS, PARTIAL),
    "one asked for": (alone(1), said(asked=1, failed=1), RunStatus.TESTS_FAILED, WHOLE),
    "two asked for, one is there": (alone(0), said(asked=2, passed=1), RunStatus.PASSED, WHOLE),
    "asked for, and gone": (alone(5), said(asked=2), RunStatus.NO_TESTS, WHOLE),
    "asked for, and nothing was heard": (alone(3), said(asked=2), RunStatus.REPORT_INVALID, PARTIAL),
    # stopped: whatever the report says
    "too long": (result(Ending.WALL_LIMIT, None), said(passed=3), RunStatus.TIMED_OUT, PARTIAL),
    "silent": (result(Ending.QUIET_LIMIT, None), said(failed=3), RunStatus.TIMED_OUT, PARTIAL),
    "crash": (result(Ending.CRASHED, None, signal="SIGSEGV"), said(), RunStatus.CRASHED, PARTIAL),
    "crash at shutdown, every test passed": (
        result(Ending.CRASHED, None, signal="SIGABRT"),
        said(passed=9),
        RunStatus.CRASHED,
        PARTIAL,
    ),
    "killed, perhaps for memory": (
        result(Ending.CRASHED, None, signal="SIGKILL"),
        said(),
        RunStatus.CRASHED,
        PARTIAL,
    ),
    # the usual
    "all passed": (result(), said(passed=9), RunStatus.PASSED, WHOLE),
    "passed, skipped, expected": (
        result(),
        said(passed=1, skipped=1, expected_failure=1),
        RunStatus.PASSED,
        WHOLE,
    ),
    "all skipped": (result(), said(skipped=9), RunStatus.PASSED, WHOLE),
    "failed": (result(status=1), said(passed=8, failed=1), RunStatus.TESTS_FAILED, WHOLE),
    "error": (result(status=1), said(passed=8, error=1), RunStatus.TESTS_FAILED, WHOLE),
    "unexpected pass": (result(status=1), said(unexpected_pass=1), RunStatus.TESTS_FAILED, WHOLE),
    "failed, yet exit status 0": (result(status=0), said(failed=1), RunStatus.TESTS_FAILED, WHOLE),
    "failed, and interrupted": (result(status=2), said(failed=1), RunStatus.TESTS_FAILED, PARTIAL),
    "unittest's own last line says that it was whole": (
        result(status=2),
        said(UNITTEST, failed=1),
        RunStatus.TESTS_FAILED,
        WHOLE,
    ),
    # collection
    "collection error stops pytest": (
        result(status=2),
        said(error=1, collection_errors=("tests/test_a.py",)),
        RunStatus.COLLECTION_FAILED,
        PARTIAL,
    ),
    "collection error, the rest ran": (
        result(status=1),
        said(passed=9, failed=1, error=1, collection_errors=("tests/test_a.py",)),
        RunStatus.COLLECTION_FAILED,
        PARTIAL,
    ),
    "collection error in a report that is cut": (
        result(status=2),
        said(error=1, collection_errors=("a",), problem="not whole XML"),
        RunStatus.COLLECTION_FAILED,
        PARTIAL,
    ),
    "nothing collected": (result(status=5), said(), RunStatus.NO_TESTS, PARTIAL),
    "nothing collected, status 0": (result(), said(SUBUNIT), RunStatus.NO_TESTS, PARTIAL),
    "pytest: every module skipped itself": (result(status=5), said(skipped=4), RunStatus.NO_TESTS, PARTIAL),
    "unittest of 3.12: every test skipped": (
        result(status=5),
        said(UNITTEST, skipped=4),
        RunStatus.PASSED,
        WHOLE,
    ),
    # report and exit status contradict each other
    "passed, yet exit status 1": (result(status=1), said(passed=9), RunStatus.REPORT_INVALID, PARTIAL),
    "passed, yet interrupted": (result(status=2), said(passed=9), RunStatus.REPORT_INVALID, PARTIAL),
    "passed, yet the interpreter failed to finish": (
        result(status=120),
        said(UNITTEST, passed=9),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
    "passed, without an exit status": (
        result(status=None),
        said(passed=9),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
    # no report to speak of
    "no report": (result(status=0, report_present=False), said(), RunStatus.REPORT_INVALID, PARTIAL),
    "no report, wrong options": (
        result(status=4, report_present=False),
        said(),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
    "report larger than its limit": (
        result(status=0, report_truncated=True),
        said(passed=9),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
    "report cannot be read": (
        result(status=1),
        said(failed=2, problem="not whole XML"),
        RunStatus.REPORT_INVALID,
        PARTIAL,
    ),
}


@pytest.mark.parametrize(("received", "summary", "status", "complete"), TABLE.values(), ids=TABLE.keys())
def test_how_a_run_ended(
    received: RunResult, summary: ReportSummary, status: RunStatus, complete: bool
) -> None:
    concluded = conclude(received, summary)
    assert (concluded.status, concluded.complete) == (status, complete)


@pytest.mark.parametrize(
    ("received", "summary", "detail"),
    [
        (result(Ending.FETCH_FAILED, detail="no such sdist"), said(), "no such sdist"),
        (result(Ending.CRASHED, None, signal="SIGSEGV"), said(under_way="a.B.c"), "SIGSEGV in a.B.c"),
        (
            result(Ending.QUIET_LIMIT, None, suite_seconds=61.2),
            said(under_way="a.B.c"),
            "stopped at the inactivity limit after 61 s in a.B.c",
        ),
        (result(status=1), said(passed=7, failed=2, error=1), "2 failed, 1 error of 10"),
        (alone(5), said(asked=1), "the test that was asked for is not there"),
        (alone(5), said(asked=3), "none of the 3 tests asked for is there"),
        (alone(5), said(asked=0), "no test was asked for"),
        (
            alone(4, report_present=False),
            said(asked=0),
            "no test ran, and the suite exited with status 4 (pytest's: wrong use of its command line); see the log",
        ),
        (
            result(status=4, report_present=False),
            said(),
            "no report was written; the suite exited with status 4 (pytest's: wrong use of its command line)",
        ),
        (
            result(status=2),
            said(collection_errors=("a", "b", "c", "d", "e", "f", "g")),
            "a, b, c, d, e and 2 more",
        ),
    ],
)
def test_the_detail_says_what_to_look_at(received: RunResult, summary: ReportSummary, detail: str) -> None:
    assert conclude(received, summary).detail == detail


COUNTS = st.dictionaries(
    st.sampled_from(["passed", "failed", "error", "skipped", "expected-failure", "unexpected-pass"]),
    st.integers(0, 5),
)


@settings(deadline=None)
@given(
    st.builds(
        result,
        st.sampled_from(Ending),
        st.one_of(st.none(), st.integers(-1, 256)),
        report_present=st.booleans(),
        report_truncated=st.booleans(),
        signal=st.sampled_from(["", "SIGSEGV"]),
        detail=st.text(max_size=500),
        tests_selected=st.booleans(),
    ),
    st.builds(
        ReportSummary,
        st.sampled_from(ReportFormat),
        st.text(max_size=600),
        COUNTS,
        st.lists(st.text(max_size=300), max_size=8).map(tuple),
        st.text(max_size=1_000),
        st.one_of(st.none(), st.integers(0, 3)),
    ),
)
def test_every_run_has_a_conclusion(received: RunResult, summary: ReportSummary) -> None:
    concluded = conclude(received, summary)
    assert isinstance(concluded, Conclusion)
    assert len(concluded.detail) <= 500
    none_asked_for = received.tests_selected and summary.asked == 0
    if concluded.complete:
        none_there = (
            received.tests_selected and bool(summary.asked) and concluded.status is RunStatus.NO_TESTS
        )
        assert none_there or concluded.status in {RunStatus.PASSED, RunStatus.TESTS_FAILED}
        assert received.ending is Ending.EXITED
        assert none_asked_for or none_there or received.report_present
        assert none_asked_for or none_there or not summary.problem
    if concluded.status is RunStatus.PASSED:
        assert not any(summary.counts.get(word) for word in ("failed", "error", "unexpected-pass"))
        assert sum(summary.counts.values()) > 0 or none_asked_for
