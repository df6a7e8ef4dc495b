"""What counts as a difference, outcome by outcome and status by status."""

from __future__ import annotations

from itertools import product

import pytest

from pybots.results.outcome import BAD, Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.compare import (
    UNJUDGED,
    difference_of,
    is_covered,
    showing,
    whole_run,
    whole_showing,
    why_quiet,
)
from pybots.verdicts.evidence import Kind, Showing

O, S = Outcome, RunStatus  # noqa: E741


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (O.PASSED, O.FAILED, Kind.FAILED),
        (O.PASSED, O.ERROR, Kind.ERROR),
        (O.EXPECTED_FAILURE, O.FAILED, Kind.FAILED),
        (O.EXPECTED_FAILURE, O.UNEXPECTED_PASS, Kind.UNEXPECTED_PASS),
        (O.PASSED, O.SKIPPED, Kind.SKIPPED),
        (O.PASSED, O.ABSENT, Kind.VANISHED),
        (O.EXPECTED_FAILURE, O.SKIPPED, Kind.SKIPPED),
        (None, O.FAILED, Kind.FAILED),
        (None, O.SKIPPED, None),
        (O.SKIPPED, O.ABSENT, None),
        (O.ABSENT, O.SKIPPED, None),
        (O.SKIPPED, O.FAILED, Kind.FAILED),
        (O.FAILED, O.PASSED, None),
        (O.PASSED, O.EXPECTED_FAILURE, None),
        (O.FAILED, O.SKIPPED, None),
        (O.ERROR, O.ABSENT, None),
    ],
)
def test_a_test_differs(before: Outcome | None, after: Outcome, kind: Kind | None) -> None:
    assert difference_of(before, after) is kind


@pytest.mark.parametrize(("before", "after"), list(product(sorted(BAD), Outcome)))
def test_what_was_bad_before_is_known(before: Outcome, after: Outcome) -> None:
    assert difference_of(before, after) is None


@pytest.mark.parametrize("after", [O.SKIPPED, O.ABSENT])
def test_a_test_is_missed_only_where_it_was_there_for_some_runs(after: Outcome) -> None:
    assert difference_of(O.PASSED, after, runs_there=2) is None
    assert difference_of(O.PASSED, after, runs_there=3) is not None


def test_a_red_suite_gets_a_second_failure() -> None:
    before = {"a": O.FAILED, "b": O.PASSED}
    after = {"a": O.FAILED, "b": O.FAILED}
    assert {name: difference_of(before[name], after[name]) for name in before} == {
        "a": None,
        "b": Kind.FAILED,
    }
    assert whole_run(S.TESTS_FAILED, S.TESTS_FAILED) is None


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (S.PASSED, S.INSTALL_FAILED, Kind.INSTALL_FAILED),
        (S.TESTS_FAILED, S.ENVIRONMENT_FAILED, Kind.ENVIRONMENT_FAILED),
        (S.PASSED, S.COLLECTION_FAILED, Kind.COLLECTION_FAILED),
        (S.PASSED, S.CRASHED, Kind.CRASHED),
        (S.PASSED, S.TIMED_OUT, Kind.TIMED_OUT),
        (S.PASSED, S.MEMORY_LIMIT, Kind.MEMORY_LIMIT),
        (S.PASSED, S.DISK_LIMIT, Kind.DISK_LIMIT),
        (S.PASSED, S.REPORT_INVALID, Kind.REPORT_INVALID),
        (S.PASSED, S.NO_TESTS, Kind.NO_TESTS),
        (None, S.INSTALL_FAILED, Kind.INSTALL_FAILED),
        (S.INSTALL_FAILED, S.INSTALL_FAILED, None),
        (S.CRASHED, S.INSTALL_FAILED, None),
        (S.PASSED, S.TESTS_FAILED, None),
        (S.INSTALL_FAILED, S.PASSED, None),
    ],
)
def test_a_run_as_a_whole_differs(before: RunStatus | None, after: RunStatus, kind: Kind | None) -> None:
    assert whole_run(before, after) is kind


@pytest.mark.parametrize(("before", "after"), list(product([None, *RunStatus], sorted(UNJUDGED))))
def test_what_the_farm_or_a_worker_did_is_no_difference(before: RunStatus | None, after: RunStatus) -> None:
    assert whole_run(before, after) is None
    assert all(whole_showing(kind, after) is Showing.UNKNOWN for kind in Kind)


def test_a_suite_that_skips_everything_is_one_difference() -> None:
    before, after = {O.PASSED: 9, O.SKIPPED: 1}, {O.SKIPPED: 10}
    assert whole_run(S.PASSED, S.PASSED, before, after) is Kind.SUITE_SKIPPED
    assert whole_run(S.PASSED, S.PASSED, after, after) is None
    assert whole_run(S.PASSED, S.PASSED, before, {O.SKIPPED: 9, O.PASSED: 1}) is None
    assert is_covered(Kind.SUITE_SKIPPED, Kind.SKIPPED)
    assert not is_covered(Kind.SUITE_SKIPPED, Kind.VANISHED)


@pytest.mark.parametrize(
    ("whole", "item", "covered"),
    [
        (None, Kind.FAILED, False),
        (Kind.COLLECTION_FAILED, Kind.ERROR, True),
        (Kind.INSTALL_FAILED, Kind.VANISHED, True),
        (Kind.CRASHED, Kind.VANISHED, True),
        (Kind.CRASHED, Kind.FAILED, False),
        (Kind.REPORT_INVALID, Kind.FAILED, False),
    ],
)
def test_what_the_whole_shows_already(whole: Kind | None, item: Kind, covered: bool) -> None:
    assert is_covered(whole, item) is covered


@pytest.mark.parametrize(
    ("name", "quiet"),
    [
        ("tests/test_a.py::test_x[<object object at 0x7f01c2a3b450>]", True),
        ("tests/test_a.py::test_x[2026-11-22]", True),
        ("tests/test_a.py::test_x[12:33:05]", True),
        ("test_x[0f8fad5b-d9cb-469f-a165-70867728950e]", True),
        ("tests/test_a.py::test_x[0x10]", False),
        ("tests/test_py315.py::test_x", False),
    ],
)
def test_names_that_change_from_run_to_run(name: str, quiet: bool) -> None:
    assert bool(why_quiet(name, Kind.VANISHED)) is quiet
    assert not why_quiet(name, Kind.FAILED)


@pytest.mark.parametrize(
    ("kind", "outcome", "shows"),
    [
        (Kind.FAILED, O.ERROR, Showing.DIFFERS),
        (Kind.FAILED, O.PASSED, Showing.AGREES),
        (Kind.FAILED, O.EXPECTED_FAILURE, Showing.AGREES),
        (Kind.FAILED, O.SKIPPED, Showing.UNKNOWN),
        (Kind.FAILED, O.ABSENT, Showing.UNKNOWN),
        (Kind.SKIPPED, O.SKIPPED, Showing.DIFFERS),
        (Kind.SKIPPED, O.FAILED, Showing.AGREES),
        (Kind.SKIPPED, O.ABSENT, Showing.UNKNOWN),
        (Kind.VANISHED, O.ABSENT, Showing.DIFFERS),
        (Kind.VANISHED, O.SKIPPED, Showing.AGREES),
    ],
)
def test_what_an_outcome_says(kind: Kind, outcome: Outcome, shows: Showing) -> None:
    assert showing(kind, outcome) is shows


@pytest.mark.parametrize(
    ("kind", "status", "shows"),
    [
        (Kind.INSTALL_FAILED, S.INSTALL_FAILED, Showing.DIFFERS),
        (Kind.INSTALL_FAILED, S.ENVIRONMENT_FAILED, Showing.DIFFERS),
        (Kind.INSTALL_FAILED, S.TESTS_FAILED, Showing.AGREES),
        (Kind.CRASHED, S.TIMED_OUT, Showing.DIFFERS),
        (Kind.CRASHED, S.INSTALL_FAILED, Showing.UNKNOWN),
        (Kind.CRASHED, S.NO_TESTS, Showing.UNKNOWN),
        (Kind.NO_TESTS, S.NO_TESTS, Showing.DIFFERS),
        (Kind.NO_TESTS, S.PASSED, Showing.AGREES),
    ],
)
def test_what_the_end_of_a_run_says(kind: Kind, status: RunStatus, shows: Showing) -> None:
    assert whole_showing(kind, status) is shows


def test_a_run_that_was_asked_for_no_tests_came_through() -> None:
    assert whole_showing(Kind.INSTALL_FAILED, S.NO_TESTS, ran_no_tests=True) is Showing.AGREES
    assert whole_showing(Kind.INSTALL_FAILED, S.NO_TESTS) is Showing.DIFFERS


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("kind", Kind)
def test_the_tables_are_total(kind: Kind, status: RunStatus) -> None:
    assert whole_showing(kind, status) in Showing
    assert whole_run(S.PASSED, status) in {None, *Kind}
    assert {showing(kind, outcome) for outcome in Outcome} <= set(Showing)
