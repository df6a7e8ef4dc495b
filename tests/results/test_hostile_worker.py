"""What one worker sends touches its own run and no other: keys, ownership, replays, names that collide, bounds."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import func, select

from pybots.database.engine import Sessions
from pybots.database.tables import EnvironmentRow, IntervalRow, RunLog, RunRow, TestRow
from pybots.results.limits import ReportLimits
from pybots.results.outcome import Failure, Outcome, Report, TestResult
from pybots.results.parse import parse_report
from pybots.results.store import KEPT_LOG_BYTES, ReceivedRun, ingest
from pybots.runs.status import RunStatus
from pybots.runs.steps import read_result
from pybots_worker.contract import Ending, Lock, ReportFormat, RunResult, lock_digest
from rows import Rows

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)


def result(key: str, **values: Any) -> RunResult:
    given = {"ending": Ending.EXITED, "exit_status": 0, "phases": [], "seconds": 1.0, "report_present": True}
    return RunResult(key=key, **{**given, **values})


def received(
    key: str, worker: str = "", log: bytes = b"", outcomes: dict[str, Outcome] | None = None, **values: Any
) -> ReceivedRun:
    tests = {name: TestResult(name, outcome) for name, outcome in (outcomes or {"a": Outcome.PASSED}).items()}
    return ReceivedRun(result(key, **values), Report(tests), log, worker)


def snapshot(sessions: Sessions, key: str) -> dict[str, Any]:
    with sessions.reading() as session:
        row = session.scalars(select(RunRow).where(RunRow.key == key)).one()
        return {column.name: getattr(row, column.name) for column in RunRow.__table__.columns}


@pytest.fixture
def two_runs(sessions: Sessions) -> tuple[str, str]:
    """A run of `mine` with worker mallory-1, and one of `yours` with worker alice-1."""
    with sessions.writing() as session:
        rows = Rows(session)
        mine = rows.run(1, rows.project("mine"), worker="mallory-1", buildbot_build=1).key
        return mine, rows.run(1, rows.project("yours"), worker="alice-1", buildbot_build=2).key


def test_a_result_for_another_run_changes_nothing(sessions: Sessions, two_runs: tuple[str, str]) -> None:
    mine, yours = two_runs
    before = snapshot(sessions, mine), snapshot(sessions, yours)
    with pytest.raises(ValueError, match="the result is that of run"):
        ingest(sessions, mine, received(yours, "mallory-1"), NOW)
    with pytest.raises(ValueError, match="was given to alice-1"):
        ingest(sessions, yours, received(yours, "mallory-1"), NOW)
    assert (snapshot(sessions, mine), snapshot(sessions, yours)) == before


def test_a_run_that_was_given_to_another_worker_is_not_its_first_ones_any_more(
    sessions: Sessions, two_runs: tuple[str, str]
) -> None:
    mine, _yours = two_runs
    with sessions.writing() as session:
        session.scalars(select(RunRow).where(RunRow.key == mine)).one().worker = "alice-2"
    with pytest.raises(ValueError, match="was given to alice-2"):
        ingest(sessions, mine, received(mine, "mallory-1"), NOW)
    assert ingest(sessions, mine, received(mine, "alice-2"), NOW) is RunStatus.PASSED


def test_a_result_that_is_sent_again_is_not_taken_again(
    sessions: Sessions, two_runs: tuple[str, str]
) -> None:
    mine, _yours = two_runs
    assert ingest(sessions, mine, received(mine, "mallory-1"), NOW) is RunStatus.PASSED
    before = snapshot(sessions, mine)
    for worker in ("mallory-1", "alice-1"):
        again = received(mine, worker, outcomes={"a": Outcome.FAILED, "b": Outcome.FAILED})
        assert ingest(sessions, mine, again, NOW) is None
    assert snapshot(sessions, mine) == before


def test_the_same_names_in_two_projects_are_different_tests(
    sessions: Sessions, two_runs: tuple[str, str]
) -> None:
    mine, yours = two_runs
    ingest(sessions, yours, received(yours, "alice-1", outcomes={"t": Outcome.PASSED}), NOW)
    ingest(sessions, mine, received(mine, "mallory-1", outcomes={"t": Outcome.FAILED}, exit_status=1), NOW)
    with sessions.reading() as session:
        found = session.execute(
            select(TestRow.project_id, IntervalRow.outcome).join(TestRow, TestRow.id == IntervalRow.test_id)
        ).all()
    assert sorted(outcome for _, outcome in found) == ["failed", "passed"]
    assert len({project for project, _ in found}) == 2


def test_a_digest_that_is_claimed_gives_no_environment_another_content(
    sessions: Sessions, two_runs: tuple[str, str]
) -> None:
    mine, yours = two_runs
    digest = lock_digest("good==1\n", "")
    honest = Lock(requirements="good==1\n", digest=digest)
    forged = Lock(requirements="evil==1\n", digest=digest)
    ingest(sessions, mine, received(mine, "mallory-1", lock=forged), NOW)
    ingest(sessions, yours, received(yours, "alice-1", lock=honest), NOW)
    with sessions.reading() as session:
        kept = dict(session.execute(select(EnvironmentRow.digest, EnvironmentRow.requirements)).all())
    assert kept == {digest: "good==1\n", lock_digest("evil==1\n", ""): "evil==1\n"}


@pytest.mark.parametrize("text", ["a\0b", "\x1b[2J", "\u202e", "é" * 400, "\ud7ff"])
def test_odd_texts_are_kept(sessions: Sessions, two_runs: tuple[str, str], text: str) -> None:
    mine, _yours = two_runs
    lock = Lock(requirements=text, digest="0" * 64)
    ending = {"ending": Ending.FETCH_FAILED, "detail": text, "revision": text, "report_present": False}
    assert (
        ingest(sessions, mine, received(mine, "mallory-1", lock=lock, **ending), NOW)
        is RunStatus.FETCH_FAILED
    )
    assert snapshot(sessions, mine)["revision"] == text.replace("\0", "\ufffd")


def test_a_log_that_is_too_large_is_not_kept(sessions: Sessions, two_runs: tuple[str, str]) -> None:
    mine, _yours = two_runs
    ingest(sessions, mine, received(mine, "mallory-1", log=b"x" * (KEPT_LOG_BYTES + 1)), NOW)
    with sessions.reading() as session:
        log = session.scalars(select(RunLog)).one()
        assert (log.compressed, log.truncated) == (b"", True)


def test_a_suite_that_fails_everywhere_keeps_a_bounded_number_of_texts(
    sessions: Sessions, two_runs: tuple[str, str]
) -> None:
    mine, _yours = two_runs
    tests = {
        f"t{n}": TestResult(f"t{n}", Outcome.FAILED, 0.0, Failure("E", str(n), "")) for n in range(3_000)
    }
    stopped = result(mine, ending=Ending.WALL_LIMIT, exit_status=None)
    status = ingest(sessions, mine, ReceivedRun(stopped, Report(tests), b"", "mallory-1"), NOW)
    assert status is RunStatus.TIMED_OUT
    with sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(IntervalRow)) == 3_000


# --- result.json --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 1_000_000, "cannot be read"),
        (b'{"key": ' + b"9" * 100_000 + b"}", "cannot be read"),
        (b'{"key": "k", "ending": "exited", "phases": [], "seconds": NaN}', "seconds"),
        (b'{"key": "k", "ending": "exited", "phases": [], "seconds": 1e400}', "seconds"),
        (b'{"key": "k", "ending": "exited", "phases": [], "seconds": 1, "exit_status": 1e30}', "exit_status"),
        (b'{"key": "k", "ending": "exited", "phases": [], "seconds": 1, "status": "passed"}', "status"),
        (b'{"key": "other", "ending": "exited", "phases": [], "seconds": 1}', "asked for k and answered for"),
        (b'{"key": "\\ud800", "ending": "exited", "phases": [], "seconds": 1}', "cannot be read"),
    ],
)
def test_a_result_that_is_none_is_named(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        read_result(content, "k")
    assert len(str(refused.value)) <= 300
    assert "\n" not in str(refused.value)


VALID = json.loads(result("k", lock=Lock(requirements="a==1\n", digest="0" * 64)).model_dump_json())
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(VALID)), JUNK, max_size=4))
@settings(deadline=None, max_examples=200)
def test_any_result_is_read_or_refused(junk: dict[str, Any]) -> None:
    try:
        read = read_result(json.dumps(VALID | junk).encode("utf-8", "surrogatepass"), "k")
    except ValidationError:
        raise
    except ValueError:
        return
    assert read.key == "k"
    assert 0 <= read.seconds <= 10_000_000


# --- reports ------------------------------------------------------------------------------------------------

LIMITS = ReportLimits(tests=1_000)


@pytest.mark.parametrize(
    ("format", "report", "says"),
    [
        (ReportFormat.JUNIT, b"<testsuites>" + b"<a>" * 5_000, "nested more than"),
        (
            ReportFormat.JUNIT,
            b"<testsuites><testcase name='" + b"x" * 3_000_000,
            "a tag of the report is longer",
        ),
        (
            ReportFormat.JUNIT,
            b"<testsuites>" + b"".join(b"<q%d/>" % n for n in range(5_000)),
            "kinds of elements",
        ),
        (
            ReportFormat.JUNIT,
            b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><testsuites>&d;</testsuites>',
            "DTD, which is refused",
        ),
        (ReportFormat.UNITTEST, b'{"pybots": 1}\n' + b"\n" * 5_000, "line 2: not JSON"),
        (
            ReportFormat.SUBUNIT,
            b"".join(b"test: a.B.t%d\nsuccess: a.B.t%d\n" % (n, n) for n in range(2_000)),
            "more than 1000 tests",
        ),
    ],
    ids=["deep", "long tag", "many names", "entities", "empty lines", "many tests"],
)
def test_what_is_beyond_a_bound_is_named(format: ReportFormat, report: bytes, says: str) -> None:  # noqa: A002
    assert says in parse_report(format, io.BytesIO(report), LIMITS).problem


@pytest.mark.parametrize(
    ("format", "report"),
    [
        (ReportFormat.JUNIT, b'<testsuite name="pytest"><testcase classname="m" name="t"/><testcase classn'),
        (ReportFormat.UNITTEST, b'{"pybots": 1}\n{"test": "t", "outcome": "passed"}\n{"test": "u", "outc'),
        (ReportFormat.SUBUNIT, b"test: m.C.t\nsuccess: m.C.t\ntest: m.C.u\nfailure: m.C.u [\nTrace"),
    ],
)
def test_a_suite_that_died_half_way_keeps_what_it_said(format: ReportFormat, report: bytes) -> None:  # noqa: A002
    read = parse_report(format, io.BytesIO(report))
    assert [test.outcome for test in read.results.values()] == [Outcome.PASSED]
    assert read.problem


def test_one_case_with_many_outcomes_keeps_one_of_each_kind() -> None:
    failures = "".join(f'<failure message="{number}"/>' for number in range(1_000))
    case = (
        f'<testsuite name="pytest"><testcase classname="m" name="t">{failures}<error/></testcase></testsuite>'
    )
    read = parse_report(ReportFormat.JUNIT, io.BytesIO(case.encode()))
    assert [test.outcome for test in read.results.values()] == [Outcome.ERROR]
