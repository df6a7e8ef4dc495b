"""What the benches make of their measurements, and of the reports that they are given."""

from __future__ import annotations

import io

import pytest

from bench.makespan import Carried, Parts, lower_bound, makespan, parts
from bench.reports import junit, test_names
from bench.results import SHARES
from pybots.results.observed import observed
from pybots.results.outcome import Outcome
from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

test_names.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("seconds", "workers", "bound"), [([2, 2, 2, 2], 2, 4), ([10, 1, 1], 2, 10), ([1, 2, 3], 4, 3)]
)
def test_no_schedule_ends_before_the_sum_by_the_workers_nor_before_the_longest(
    seconds: list[float], workers: int, bound: float
) -> None:
    assert lower_bound(seconds, workers) == bound


def test_where_the_time_went() -> None:
    runs = [Carried("a", 1, 5, 3), Carried("a", 6, 10, 4), Carried("b", 3, 8, 4)]
    assert makespan(runs) == 10
    assert parts(runs) == Parts(first=2, between=1, around=pytest.approx(2 / 3), idle_at_end=1)


@pytest.mark.parametrize("one_cause", [True, False])
def test_reports_say_what_is_asked_of_them(one_cause: bool) -> None:
    report = parse_report(
        ReportFormat.JUNIT, io.BytesIO(junit(60, range(0, 60, 3), one_cause=one_cause, seed=1))
    )
    assert list(report.results) == test_names(60)
    assert report.counts() == {Outcome.PASSED: 40, Outcome.FAILED: 20}
    assert len({test.seen.signature for test in observed(report).values() if test.bad}) == (
        1 if one_cause else 20
    )


def test_a_failure_is_the_same_in_another_run_for_all_that_its_address_is_not() -> None:
    first, second = (
        observed(parse_report(ReportFormat.JUNIT, io.BytesIO(junit(9, range(9), one_cause=False, seed=seed))))
        for seed in (1, 2)
    )
    assert {name: test.seen for name, test in first.items()} == {
        name: test.seen for name, test in second.items()
    }


@pytest.mark.parametrize("share", SHARES, ids=lambda share: share.name)
def test_shares_are_what_they_are_called(share: object) -> None:
    failing = share.failing(1_000, 1)  # type: ignore[attr-defined]
    assert len(failing) == 10 * share.percent  # type: ignore[attr-defined]
    assert len(share.failing(1_000, 2)) == 0  # type: ignore[attr-defined]
