"""Of a report that differs in parts from the one before only these are read, and what is saved is the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bench.farm_results import NOW, FarmResults
from bench.reports import junit
from pybots.database.tables import FailureRow, IntervalRow, LastReport, ProjectRow, RunRow, TestRow
from pybots.results import store_received
from pybots.results.store_changed import ingest_changed
from pybots.results.store_received import ingest_folder
from pybots.results.store_repeated import NOT_REPEATED, Repeated
from pybots_worker.contract import ReportFormat

NUMBERS = itertools.count()
HEAD = '<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="{}" time="{}">'
CASE = '<testcase classname="tests.test_a.TestA" name="{}" file="tests/test_a.py" line="1" time="{}"'
SAID = {
    "passed": " />",
    "failed": '><failure message="assert 1 == 2">E  assert 1 == 2&#10;at 0x7f00aa11bb22</failure></testcase>',
    "moved": '><failure message="assert 1 == 2">E  assert 1 == 2&#10;at 0x7fffffffffff</failure></testcase>',
    "other": '><failure message="ValueError: time=&quot;1&quot;">text time="3" x</failure></testcase>',
    "skipped": '><skipped type="pytest.skip" message="why">why</skipped></testcase>',
    "xfail": '><skipped type="pytest.xfail" message=""/></testcase>',
    "teardown": '><failure message="a">b</failure><error message="failed on teardown">c</error></testcase>',
    "printed": "><system-out>a &lt; b</system-out></testcase>",
    "comment": "><!-- a --></testcase>",
    "broken": "><failure>&nothing;</failure></testcase>",
    "collection": '><error message="collection failure">E  ImportError: x</error></testcase>',
    "tagged": '><properties><property name="a" value="b"/></properties></testcase>',
}


def report(said: Sequence[tuple[str, str]], seed: int = 0) -> bytes:
    cases = "".join(
        CASE.format(name, (number + seed) / 100) + SAID[kind] for number, (name, kind) in enumerate(said)
    )
    return f"{HEAD.format(len(said), seed)}{cases}</testsuite></testsuites>".encode()


class Both:
    """The same runs on two databases: one on which reports are read in parts, and one on which they never are."""

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        self.in_parts, self.in_full = (
            FarmResults(folder / name, url) for name, url in zip("ab", urls, strict=True)
        )
        self.answers: list[Repeated] = []

    def take_in(self, reports: Sequence[bytes]) -> None:
        name = f"project-{next(NUMBERS)}"
        self.name = name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store_received, "ingest_changed", self._noting)
            self._take_in(self.in_parts, reports)
            patch.setattr(store_received, "ingest_changed", lambda *_: NOT_REPEATED)
            self._take_in(self.in_full, reports)

    def _take_in(self, farm: FarmResults, reports: Sequence[bytes]) -> None:
        farm.begin_project(self.name)
        prepared = farm.prepare(reports)
        for key, incoming in prepared:
            ingest_folder(farm.sessions, key, ReportFormat.JUNIT, incoming, "worker", NOW)
        farm.clear(prepared)

    def _noting(self, *arguments: Any) -> Repeated:
        self.answers.append(ingest_changed(*arguments))
        return self.answers[-1]

    def agree(self) -> None:
        assert saved(self.in_parts, self.name) == saved(self.in_full, self.name)


def saved(farm: FarmResults, project: str) -> tuple[object, ...]:
    """All that is known of a project, but for the rows' numbers."""
    columns = [
        column
        for column in RunRow.__table__.columns
        if column.key not in {"id", "project_id", "interpreter_id"}
    ]
    row = IntervalRow
    with farm.sessions.reading() as session:
        number = session.scalars(select(ProjectRow.id).where(ProjectRow.name == project)).one()
        runs = session.execute(
            select(*columns).where(RunRow.project_id == number).order_by(RunRow.place)
        ).all()
        intervals = session.execute(
            select(TestRow.name, row.first_place, row.end_place, row.outcome, FailureRow.digest)
            .join(TestRow, TestRow.id == row.test_id)
            .outerjoin(FailureRow, FailureRow.id == row.failure_id)
            .where(row.project_id == number)
            .order_by(TestRow.name, row.first_place)
        ).all()
        last = session.execute(
            select(LastReport.report_digest, LastReport.compressed).where(LastReport.project_id == number)
        ).all()
    return runs, intervals, last


@pytest.fixture(scope="module")
def both(databases: Any, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("both"), [databases.empty(), databases.empty()])


def plain(*names: str) -> list[tuple[str, str]]:
    return [(name, "passed") for name in names]


MANY = [f"test_{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("change", "read_in_parts"),
    [
        ({"test_3": "failed"}, True),
        ({"test_3": "skipped", "test_19": "xfail"}, True),
        ({"test_0": "teardown"}, True),
        ({"test_0": "printed"}, True),
        ({"test_0": "tagged"}, True),
        ({"test_0": "comment"}, False),
        ({"test_0": "broken"}, False),
        ({"test_0": "collection"}, False),
        ({"new": "passed"}, True),
        ({"new": "failed", "newer": "skipped"}, True),
        (dict.fromkeys(MANY, "failed"), False),
    ],
)
def test_what_changed(both: Both, change: dict[str, str], read_in_parts: bool) -> None:
    both.answers.clear()
    before = dict.fromkeys(MANY, "passed")
    both.take_in(
        [report([*before.items()]), report([*(before | change).items()], 1), report([*before.items()], 2)]
    )
    both.agree()
    assert both.answers[1].saved is read_in_parts


@pytest.mark.parametrize(
    ("after", "read_in_parts"),
    [
        (plain(*MANY[3:]), True),
        (plain(*MANY[:-1]), True),
        (plain(*MANY[:4], *MANY[5:9], "new", *MANY[9:]), True),
        (plain(*reversed(MANY)), True),
        ([*plain(*MANY), ("test_3", "failed")], False),
        ([*plain(*MANY), ("test_3", "passed")], False),
        ([*plain(*MANY[1:]), ("test_0", "failed"), ("test_0", "skipped")], False),
    ],
)
def test_what_came_and_went(both: Both, after: list[tuple[str, str]], read_in_parts: bool) -> None:
    both.answers.clear()
    both.take_in([report(plain(*MANY)), report(after, 1)])
    both.agree()
    assert both.answers[1].saved is read_in_parts


def test_reports_as_the_bench_makes_them(both: Both) -> None:
    both.answers.clear()
    both.take_in(
        [junit(500, range(0, number, 100), one_cause=False, seed=number) for number in (1, 500, 2, 300)]
    )
    both.agree()
    assert [answer.saved for answer in both.answers] == [False, True, True, True]


def test_a_report_that_is_none_in_between(both: Both) -> None:
    whole = report(plain(*MANY))
    both.take_in([whole, whole[:-40], report([*plain(*MANY[1:]), ("test_0", "failed")], 1), whole])
    both.agree()


kinds = st.sampled_from([*["passed"] * 12, *SAID])
changes = st.dictionaries(st.sampled_from([*MANY[:12], "new", "newer", "other"]), kinds, max_size=4)


@st.composite
def following(draw: st.DrawFn) -> list[bytes]:
    """Reports of which each differs from the one before in what a few tests did, in which there are, and in order."""
    said = dict.fromkeys(MANY, "passed")
    reports = []
    for seed in range(draw(st.integers(2, 5))):
        said = said | draw(changes)
        for name in draw(st.sets(st.sampled_from([*MANY[:6], "new"]), max_size=2)):
            said.pop(name, None)
        cases = list(said.items())
        if draw(st.integers(0, 7)) == 0:
            cases = draw(st.permutations(cases))
        if draw(st.integers(0, 9)) == 0:
            cases = [*cases, (draw(st.sampled_from(MANY)), draw(kinds))]
        reports.append(report(cases, seed))
    return reports


@settings(deadline=None, max_examples=60)
@given(following())
def test_what_is_saved_is_what_a_full_reading_saves(both: Both, reports: list[bytes]) -> None:
    both.take_in(reports)
    both.agree()
