"""A report that says what the one before said is not read; any other one is."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from bench.farm_results import FarmResults
from bench.reports import junit
from pybots.database.tables import IntervalRow, RunRow
from pybots.results import store_received
from pybots.results.report_digest import report_digest, without_varying
from pybots_worker.contract import ReportFormat

CASE = b'<testcase classname="a" name="b" time="%s"/>'


@pytest.mark.parametrize(
    ("format", "one", "other", "same"),
    [
        (ReportFormat.JUNIT, CASE % b"0.1", CASE % b"12.25", True),
        (ReportFormat.JUNIT, b'<s timestamp="a" hostname="b">', b'<s timestamp="c" hostname="d">', True),
        (ReportFormat.JUNIT, CASE % b"1", (CASE % b"1").replace(b'name="b"', b'name="c"'), False),
        (ReportFormat.JUNIT, CASE % b"1", (CASE % b"1").replace(b"/>", b"><skipped/></testcase>"), False),
        (ReportFormat.UNITTEST, b'{"test": "a", "seconds": 0.5}', b'{"test": "a", "seconds": 1e-05}', True),
        (ReportFormat.DJANGO, b'{"outcome": "passed"}', b'{"outcome": "failed"}', False),
    ],
)  # fmt: skip
def test_two_reports_say_the_same(format: ReportFormat, one: bytes, other: bytes, same: bool) -> None:  # noqa: A002
    one, other = without_varying(format, one), without_varying(format, other)
    assert (report_digest(one) == report_digest(other)) is same


def test_subunit_has_no_digest() -> None:
    assert report_digest(without_varying(ReportFormat.SUBUNIT, b"test: a\nsuccess: a\n")) == ""


def report(seed: int, *failing: int) -> bytes:
    bad = range(failing[0], failing[0] + 1) if failing else range(0)
    return junit(50, bad, one_cause=True, seed=seed)


def rows(farm: FarmResults) -> list[RunRow]:
    with farm.sessions.reading() as session:
        return list(session.scalars(select(RunRow).order_by(RunRow.place)))


def intervals(farm: FarmResults) -> int:
    with farm.sessions.reading() as session:
        return len(session.scalars(select(IntervalRow)).all())


@pytest.mark.parametrize("failing", [(), (7,)])
def test_a_repeated_report_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[int, ...]
) -> None:
    farm = FarmResults(tmp_path / "farm")
    prepared = farm.prepare([report(1, *failing), report(2, *failing)])
    farm.take_in(prepared[:1])
    before = intervals(farm)
    monkeypatch.setattr(store_received, "parse_report", None)
    farm.take_in(prepared[1:])
    first, second = rows(farm)
    said = (
        "status",
        "detail",
        "complete",
        "outcomes_digest",
        "collected",
        "passed",
        "failed",
        "skipped",
        "state",
    )
    assert [getattr(first, name) for name in said] == [getattr(second, name) for name in said]
    assert second.collected == 50
    assert second.failed == len(failing)
    assert intervals(farm) == before


def test_what_changes_is_read_and_what_comes_late_too(tmp_path: Path) -> None:
    farm = FarmResults(tmp_path / "farm")
    first, second, third = farm.prepare([report(1), report(2, 7), report(3)])
    farm.take_in([first, third, second])
    assert [row.failed for row in rows(farm)] == [0, 1, 0]
    assert intervals(farm) == 52
