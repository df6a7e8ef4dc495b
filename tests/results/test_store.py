from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from pybots.database.engine import Sessions
from pybots.database.tables import (
    EnvironmentRow,
    FailureRow,
    IntervalRow,
    RunFailureRow,
    RunLog,
    RunRow,
    TestRow,
)
from pybots.results import store
from pybots.results.outcome import Failure, Outcome, Report, TestResult
from pybots.results.store import ReceivedRun, failures_of_run, history, ingest, outcomes_at, record_lost
from pybots.runs.status import RunStatus
from pybots_worker.contract import Ending, Lock, Phase, RunResult
from rows import Rows, specification

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
P, F, E, S = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED
BAD_VALUE = Failure(
    "ValueError", "bad value", 'Traceback:\n  File "/a/b.py", line 3, in f\nValueError: bad value'
)
MOVED = Failure(
    "ValueError", "bad value", 'Traceback:\n  File "/z/b.py", line 9, in f\nValueError: bad value'
)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def migrated(databases: Any) -> Iterator[Sessions]:
    with databases.sessions() as sessions:
        yield sessions


class Track:
    """One project on one track, new for every test, and runs on it."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        with sessions.writing() as session:
            rows = Rows(session)
            self.project = rows.project(f"project-{next(NUMBERS)}")
            self.track = rows.track()

    def run(self, position: int, **values: Any) -> str:
        with self.sessions.writing() as session:
            return Rows(session).run(position, self.project, self.track, **values).key

    def ingest(
        self,
        position: int,
        outcomes: Mapping[str, Outcome | tuple[Outcome, Failure]],
        role: str = "subject",
        **values: Any,
    ) -> RunStatus | None:
        key = self.run(position, role=role, key=f"{self.project.name}-{next(NUMBERS)}")
        return ingest(self.sessions, key, received(key, report(outcomes), **values), NOW)

    def at(self, position: int) -> dict[str, Outcome]:
        with self.sessions.reading() as session:
            found = outcomes_at(session, self.project.id, self.track.id, position * 1024)
        return {name: outcome for name, outcome, _failure in found}

    def history(self, name: str) -> list[tuple[int, int | None, Outcome]]:
        with self.sessions.reading() as session:
            query = select(TestRow.id).where(TestRow.project_id == self.project.id, TestRow.name == name)
            number = session.scalars(query).one()
            spans = history(session, number, self.track.id)
        return [
            (span.first_place // 1024, span.end_place and span.end_place // 1024, span.outcome)
            for span in spans
        ]

    def failed(self, position: int) -> list[str]:
        with self.sessions.reading() as session:
            query = select(RunRow.id).where(
                RunRow.project_id == self.project.id, RunRow.place == position * 1024
            )
            return [test.name for test in failures_of_run(session, session.scalars(query).one())]


@pytest.fixture
def track(migrated: Sessions) -> Track:
    return Track(migrated)


def report(outcomes: Mapping[str, Outcome | tuple[Outcome, Failure]]) -> Report:
    results = {}
    for name, said in outcomes.items():
        outcome, failure = said if isinstance(said, tuple) else (said, BAD_VALUE if said in {F, E} else None)
        results[name] = TestResult(name, outcome, 0.1, failure)
    return Report(results)


def received(key: str, said: Report, *, whole: bool = True, **values: Any) -> ReceivedRun:
    bad = any(result.outcome in {F, E} for result in said.results.values())
    ending = Ending.EXITED if whole else Ending.CRASHED
    defaults: dict[str, Any] = {"phases": [], "seconds": 9, "report_present": True, "exit_status": int(bad)}
    result = RunResult(key=key, ending=ending, **{**defaults, **values})
    return ReceivedRun(result, said, b"log", "worker-1")


def test_everything_that_came_back_is_saved(track: Track) -> None:
    key = track.run(1)
    lock = Lock(requirements="attrs==1", build_constraints="", digest="c" * 64)
    phases = [Phase(name="suite", seconds=3, succeeded=False)]
    said = report({"a": P, "b": F, "c": S, "d": Outcome.EXPECTED_FAILURE})
    back = received(
        key,
        said,
        lock=lock,
        environment_digest="e" * 64,
        phases=phases,
        revision="1.2",
        suite_seconds=3,
        log_truncated=True,
    )
    assert ingest(track.sessions, key, back, NOW) is RunStatus.TESTS_FAILED
    with track.sessions.reading() as session:
        run = session.scalars(select(RunRow).where(RunRow.key == key)).one()
        assert (run.state, run.status, run.detail, run.complete) == (
            "finished",
            "tests-failed",
            "1 failed of 4",
            True,
        )
        assert (run.collected, run.passed, run.failed, run.skipped, run.expected_failure) == (4, 1, 1, 1, 1)
        assert (run.worker, run.revision, run.seconds, run.suite_seconds) == ("worker-1", "1.2", 9, 3)
        assert run.finished_at == NOW
        assert '"suite"' in run.phases
        assert session.get_one(EnvironmentRow, run.environment_id).requirements == "attrs==1"
        assert run.environment_digest == "e" * 64
        log = session.get_one(RunLog, run.id)
        assert (log.compressed, log.truncated) == (b"log", True)
        (failed,) = failures_of_run(session, run.id)
        assert (failed.name, failed.exception, failed.message) == ("b", "ValueError", "bad value")


def test_a_second_time_nothing_happens(track: Track) -> None:
    key = track.run(1)
    assert ingest(track.sessions, key, received(key, report({"a": P})), NOW) is RunStatus.PASSED
    assert ingest(track.sessions, key, received(key, report({"a": F})), NOW) is None
    assert record_lost(track.sessions, key, RunStatus.WORKER_LOST, "gone", NOW) is None
    assert track.at(1) == {"a": P}


def test_ingested_by_several_threads_at_once(track: Track) -> None:
    key = track.run(1)
    answers: list[RunStatus | None] = []
    back = received(key, report({"a": P}))
    threads = [
        threading.Thread(target=lambda: answers.append(ingest(track.sessions, key, back, NOW)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, answers)) == ["None", "None", "None", "passed"]


def test_another_runs_result_is_refused(track: Track) -> None:
    one, other = track.run(1), track.run(2)
    with pytest.raises(ValueError, match="the result is that of run"):
        ingest(track.sessions, one, received(other, report({"a": P})), NOW)
    with pytest.raises(LookupError, match="no run has the key"):
        ingest(track.sessions, "nobody", received("nobody", report({})), NOW)


@pytest.mark.parametrize(("part", "whole"), [("save_newest", True), ("save_histories", False)])
def test_what_breaks_halfway_leaves_nothing(
    track: Track, monkeypatch: pytest.MonkeyPatch, part: str, whole: bool
) -> None:
    def breaks(*_: object) -> None:
        raise OSError("the power is gone")

    key = track.run(1)
    monkeypatch.setattr(store, part, breaks)
    back = received(key, report({"a": P, "b": (F, BAD_VALUE)}), whole=whole)
    with pytest.raises(OSError, match="the power is gone"):
        ingest(track.sessions, key, back, NOW)
    with track.sessions.reading() as session:
        run = session.scalars(select(RunRow).where(RunRow.key == key)).one()
        assert run.state == "running"
        assert session.get(RunLog, run.id) is None
    assert track.at(1) == {}


def test_a_run_that_was_lost(track: Track) -> None:
    key = track.run(1)
    assert record_lost(track.sessions, key, RunStatus.WORKER_LOST, "w" * 900, NOW) is RunStatus.WORKER_LOST
    with track.sessions.reading() as session:
        run = session.scalars(select(RunRow).where(RunRow.key == key)).one()
        assert (run.state, run.status, len(run.detail), run.complete) == (
            "finished",
            "worker-lost",
            500,
            False,
        )
    assert ingest(track.sessions, key, received(key, report({"a": P})), NOW) is None


def test_changes_in_order(track: Track) -> None:
    track.ingest(1, {"a": P, "b": P})
    track.ingest(2, {"a": P, "b": F})
    track.ingest(3, {"a": P, "b": (F, MOVED)})
    track.ingest(4, {"a": P})
    track.ingest(5, {"a": P, "b": P, "c": S})
    assert track.history("a") == [(1, None, P)]
    assert track.history("b") == [(1, 2, P), (2, 4, F), (4, 5, Outcome.ABSENT), (5, None, P)]
    assert track.history("c") == [(5, None, S)]
    assert track.at(3) == {"a": P, "b": F}


def test_the_same_fault_with_other_words_is_another_interval(track: Track) -> None:
    other = Failure("KeyError", "'x'", "")
    track.ingest(1, {"a": F})
    track.ingest(2, {"a": (F, other)})
    assert track.history("a") == [(1, 2, F), (2, None, F)]
    with track.sessions.reading() as session:
        found = outcomes_at(session, track.project.id, track.track.id, 2 * 1024)
        assert session.get_one(FailureRow, found[0].failure_id).exception == "KeyError"


def test_out_of_order(track: Track) -> None:
    track.ingest(1, {"a": P, "b": P})
    track.ingest(9, {"a": P, "b": P})
    track.ingest(5, {"a": F})
    assert track.history("a") == [(1, 5, P), (5, 9, F), (9, None, P)]
    assert track.history("b") == [(1, 5, P), (5, 9, Outcome.ABSENT), (9, None, P)]


def test_an_incomplete_run_says_nothing_of_what_it_did_not_reach(track: Track) -> None:
    track.ingest(1, {"a": P, "b": F, "c": P})
    assert track.ingest(2, {"a": E}, whole=False) is RunStatus.CRASHED
    assert track.at(2) == {"a": E, "b": F, "c": P}
    assert track.failed(2) == ["a"]
    assert track.failed(1) == ["b"]


def test_other_roles_leave_histories_alone(track: Track) -> None:
    track.ingest(1, {"a": P})
    for role in ("control", "confirmation", "probe"):
        track.ingest(2, {"a": F, "b": P}, role)
    assert track.at(2) == {"a": P}
    with track.sessions.reading() as session:
        runs = select(RunRow.id).where(RunRow.project_id == track.project.id, RunRow.role != "subject")
        assert session.scalar(select(func.count()).where(RunFailureRow.run_id.in_(runs))) == 3


def test_tracks_do_not_touch_each_other(migrated: Sessions) -> None:
    one, other = Track(migrated), Track(migrated)
    one.ingest(1, {"a": P})
    other.ingest(1, {"a": F})
    one.ingest(2, {"a": P})
    assert (one.history("a"), other.history("a")) == ([(1, None, P)], [(1, None, F)])


def test_a_run_that_changes_nothing_reads_no_history(track: Track) -> None:
    track.ingest(1, {"a": P, "b": F})
    key = track.run(2)
    with Statements(track.sessions) as seen:
        ingest(track.sessions, key, received(key, report({"a": P, "b": (F, MOVED)})), NOW)
    assert not [
        statement for statement in seen if "intervals" in statement or "tests" in statement.split("FROM")[-1]
    ]
    assert track.at(2) == {"a": P, "b": F}
    assert track.failed(2) == ["b"]


def test_a_repetition_after_an_incomplete_run_is_not_taken_for_one(track: Track) -> None:
    track.ingest(1, {"a": P})
    track.ingest(2, {"a": F}, whole=False)
    track.ingest(3, {"a": P})
    assert track.history("a") == [(1, 2, P), (2, 3, F), (3, None, P)]


def test_a_repetition_before_a_later_run_is_not_taken_for_one(track: Track) -> None:
    track.ingest(1, {"a": P})
    track.ingest(5, {"a": F}, whole=False)
    track.ingest(9, {"a": F})
    track.ingest(7, {"a": P})
    assert track.history("a") == [(1, 5, P), (5, 7, F), (7, 9, P), (9, None, F)]


def test_deselected_tests_are_counted(track: Track) -> None:
    key = f"{track.project.name}-deselected"
    asked = specification(key).model_copy(update={"deselected": ["x", "y"]})
    track.run(1, key=key, specification=asked.model_dump_json())
    ingest(track.sessions, key, received(key, report({"a": P})), NOW)
    with track.sessions.reading() as session:
        assert session.scalars(select(RunRow.deselected).where(RunRow.key == key)).one() == 2


RUNS = st.dictionaries(
    st.integers(1, 6),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([P, F, S]), min_size=1),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=30)
@given(RUNS, st.data())
def test_any_order_gives_what_every_run_reported(
    migrated: Sessions, runs: dict[int, dict[str, Outcome]], data: st.DataObject
) -> None:
    track = Track(migrated)
    for position in data.draw(st.permutations(sorted(runs))):
        track.ingest(position, runs[position])
    known: set[str] = set()
    for position in sorted(runs):
        known |= set(runs[position])
        assert track.at(position) == {name: runs[position].get(name, Outcome.ABSENT) for name in known}


def test_a_suite_of_thousands(track: Track) -> None:
    names = [f"tests.test_{number // 50}.Test.test_{number}" for number in range(17_000)]
    track.ingest(1, dict.fromkeys(names, P))
    key = track.run(2)
    with Statements(track.sessions) as seen:
        ingest(track.sessions, key, received(key, report(dict.fromkeys(names, P) | {names[5]: F})), NOW)
    assert len(seen) < 40
    with track.sessions.reading() as session:
        rows = select(func.count()).where(IntervalRow.project_id == track.project.id)
        assert session.scalar(rows) == 17_001


class Statements:
    """What is sent to the database within the block."""

    def __init__(self, sessions: Sessions) -> None:
        self.engine = sessions.engine
        self.seen: list[str] = []

    def __enter__(self) -> list[str]:
        event.listen(self.engine, "before_cursor_execute", self._note)
        return self.seen

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.seen.append(statement)
