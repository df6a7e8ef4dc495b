"""From ingestion to verdicts through a real database, with an executor of which the truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import select

from pybots.database.engine import Sessions
from pybots.database.tables import (
    ArtifactRow,
    Condition,
    InterpreterRow,
    RunFailureRow,
    RunRow,
    TestRow,
    WorkerFault,
    WorkerRow,
)
from pybots.interpreters import store_roots
from pybots.results.outcome import Outcome
from pybots.verdicts import store_examine
from pybots_worker.contract import Ending, RunSpecification, StoredInterpreter
from simulated_farm import SimulatedFarm

P, F, S = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED


def fails_from(position: int) -> object:
    return lambda at, _revision, _environment, _worker: {"a": F if at >= position else P, "b": P}


def digest_of(run: RunRow) -> str:
    interpreter = RunSpecification.model_validate_json(run.specification).interpreter
    assert isinstance(interpreter, StoredInterpreter)
    return interpreter.digest


def test_the_interpreter_broke_a_test(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 3 else P, "b": P})
    for position in range(1, 5):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"a": "interpreter"}
    (comparison,) = farm.comparisons()
    assert (comparison.state, comparison.moved) == ("closed", "interpreter")
    subject, baseline = farm.runs(role="subject")[3], farm.runs(role="subject")[2]
    assert (comparison.subject_id, comparison.baseline_id) == (subject.id, baseline.id)
    trials = farm.trials()
    assert {run.worker for run in trials} == {"one"}
    assert {run.alone for run in trials} == {True}
    for run in trials:
        other = baseline if run.role == "control" else subject
        assert digest_of(run) == digest_of(other)
        assert run.interpreter_id == other.interpreter_id
        assert run.environment_digest == subject.environment_digest
        assert run.revision == subject.revision
    assert {run.role for run in trials} == {"confirmation", "control"}
    assert set(json.loads(farm.verdicts()["a"].evidence)) <= {run.key for run in trials}


def test_a_known_failure_is_quiet(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 1 else P, "b": F if at > 3 else P})
    for position in (1, 2, 3):
        farm.subject(position)
        farm.settle()
    farm.subject(4)
    farm.settle()
    assert farm.causes() == {"a": "interpreter", "b": "interpreter"}
    assert len(farm.comparisons()) == 2, "a second failure on a suite that is red is news; the first is not"


def test_nothing_is_asked_where_nothing_differs(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda *_: {"a": P, "b": F, "c": S})
    for position in range(1, 6):
        farm.subject(position)
    farm.settle()
    assert farm.comparisons() == []
    assert farm.executions == 5
    assert {run.compared for run in farm.runs()} == {"compared"}


def test_the_project_broke_its_own_test(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda _at, revision, *_: {"a": F if revision == "2.0" else P, "b": P})
    for position in (1, 2):
        farm.subject(position)
    farm.subject(3, revision="2.0")
    farm.settle()
    assert farm.causes() == {"a": "project"}
    (comparison,) = farm.comparisons()
    assert comparison.moved == "interpreter,project"
    probes = farm.runs(role="probe")
    assert probes
    for run in farm.trials():
        old = "project" in run.back.split(",")
        assert run.revision == ("1.0" if old else "2.0")


def test_a_dependency_broke_it(sessions: Sessions) -> None:
    farm = SimulatedFarm(
        sessions, lambda _at, _revision, environment, _: {"a": F if environment == "a==2" else P}
    )
    farm.subject(1)
    farm.subject(2)
    farm.subject(3, environment="a==2")
    farm.settle()
    assert farm.causes() == {"a": "dependency"}
    assert farm.comparisons()[0].moved == "dependency,interpreter"


def test_a_worker_on_which_alone_it_fails(sessions: Sessions) -> None:
    """The subject went to another machine than the baseline, and it is the machine that matters."""
    farm = SimulatedFarm(sessions, lambda _at, _r, _e, worker: {"a": F if worker == "two" else P})
    for position in (1, 2, 3):
        farm.subject(position)
    farm.subject(4, worker="two")
    farm.settle()
    assert farm.causes()["a"] in {"worker", "undecided"}
    assert {run.worker for run in farm.trials()} == {"one", "two"}


def test_an_installation_that_fails(sessions: Sessions) -> None:
    def shows(at: int, *_: str) -> Mapping[str, Outcome] | Ending:
        return Ending.INSTALL_FAILED if at > 2 else {"a": P}

    farm = SimulatedFarm(sessions, shows)
    for position in (1, 2, 3):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"": "interpreter"}
    tests = [RunSpecification.model_validate_json(run.specification).tests for run in farm.trials()]
    assert all(each == [] for each in tests), "everything up to the suite is enough"
    assert all(run.alone for run in farm.trials())


def test_a_crash_is_tried_with_the_whole_suite_where_no_test_is_known(sessions: Sessions) -> None:
    def shows(at: int, *_: str) -> Mapping[str, Outcome] | Ending:
        return Ending.CRASHED if at > 2 else {"a": P}

    farm = SimulatedFarm(sessions, shows)
    for position in (1, 2, 3):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"": "interpreter"}
    tests = [RunSpecification.model_validate_json(run.specification).tests for run in farm.trials()]
    assert set(tests) == {None}


def test_a_new_project_has_the_interpreter_before_it_for_a_baseline(sessions: Sessions) -> None:
    """It fails on both: its own matter, and quiet."""
    farm = SimulatedFarm(sessions, lambda *_: {"a": F, "b": P})
    with sessions.writing() as session:
        from rows import Rows

        Rows(session).interpreter(1, session.merge(farm.track))
    farm.subject(2)
    farm.settle()
    assert "interpreter" not in farm.causes().values()
    (comparison,) = farm.comparisons()
    assert comparison.baseline_id is None
    assert comparison.baseline_interpreter_id is not None


def test_of_the_first_run_of_all_nothing_is_said(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda *_: {"a": F})
    farm.subject(1)
    farm.settle()
    assert farm.comparisons() == []


def test_the_one_before_is_waited_for(sessions: Sessions) -> None:
    """Two workers overtake each other: without the earlier run, every test of the later one would look new."""
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 1 else P})
    first = farm.wanted(1)
    farm.subject(2)
    assert farm.judge() == 0
    farm.carry_out(first, "two")
    farm.settle()
    assert farm.causes() == {"a": "interpreter"}
    (comparison,) = farm.comparisons()
    assert comparison.baseline_id == farm.runs(key=first)[0].id


def test_what_a_trial_says_of_its_tests_is_kept(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 2 else P, "b": P, "c": F})
    for position in (1, 2, 3):
        farm.subject(position)
    farm.settle()
    control = next(run for run in farm.trials() if run.role == "control")
    with sessions.reading() as session:
        kept = session.execute(
            select(TestRow.name, RunFailureRow.outcome)
            .join(TestRow, TestRow.id == RunFailureRow.test_id)
            .where(RunFailureRow.run_id == control.id)
        ).all()
    assert dict(kept) == {"a": "passed"}


@pytest.mark.parametrize("ending", [Ending.UNFIT, Ending.FETCH_FAILED])
def test_what_cannot_be_judged_is_run_again_elsewhere(sessions: Sessions, ending: Ending) -> None:
    def shows(_at: int, _revision: str, _environment: str, worker: str) -> Mapping[str, Outcome] | Ending:
        return ending if worker == "one" else {"a": P}

    farm = SimulatedFarm(sessions, shows)
    farm.subject(1)
    farm.settle()
    first, again = farm.runs()
    assert (again.not_on, again.worker, again.status) == ("one", "two", "passed")
    assert again.place == first.place + 1
    with sessions.reading() as session:
        (fault,) = session.scalars(select(WorkerFault)).all()
    assert (fault.worker, fault.run_id) == ("one", first.id)
    assert fault.what == f"{first.status}: it ended with {ending}"
    assert farm.comparisons() == []


def test_it_is_run_again_three_times_at_most_and_later_each_time(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda *_: Ending.UNFIT, machines={"one": 2})
    farm.subject(1, worker="one-1")
    farm.settle()
    runs = farm.runs()
    assert [run.status for run in runs] == ["worker-unfit"] * 4
    assert [run.not_on for run in runs] == [""] * 4, "there is no other machine"
    finished = [run.finished_at for run in runs]
    pauses = [after.wanted_at - before for after, before in zip(runs[1:], finished, strict=False) if before]
    assert pauses == [timedelta(seconds=seconds) for seconds in (30, 120, 270)]


def test_a_comparison_whose_worker_stays_away_begins_anew_on_another(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 2 else P})
    for position in (1, 2, 3):
        farm.subject(position)
    farm.judge()
    farm.judge()
    (first,) = farm.trials()
    assert (first.on_worker, first.state) == ("one", "wanted")
    with sessions.writing() as session:
        row = session.get_one(WorkerRow, "one")
        row.connected, row.changed_at = False, farm.now
    farm.now += timedelta(minutes=14)
    farm.judge()
    assert farm.trials()[0].state == "wanted"
    farm.now += timedelta(minutes=2)
    farm.judge()
    (first, *_) = farm.trials()
    assert (first.status, first.detail) == ("worker-lost", "one has been away for 15 minutes")
    farm.settle()
    judged = [run for run in farm.trials() if run.status != "worker-lost"]
    assert {run.worker for run in judged} == {"two"}
    assert farm.causes() == {"a": "interpreter"}


def test_a_baseline_that_was_taken_out_of_the_store_is_built_again(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 2 else P})
    for position in (1, 2, 3):
        farm.subject(position)
    with sessions.writing() as session:
        row = session.scalars(select(ArtifactRow).where(ArtifactRow.digest == farm.digest(2))).one()
        row.removed_at = farm.now
    farm.judge()
    farm.carry_out(farm.trials()[0].key, "one")
    farm.judge()
    with sessions.reading() as session:
        interpreter = session.scalars(select(InterpreterRow).where(InterpreterRow.position == 2)).one()
    assert interpreter.state == "wanted"
    farm.judge()
    assert any(run.state == "wanted" for run in farm.trials())
    with sessions.writing() as session:
        session.merge(interpreter).state = "finished"
    farm.judge()
    lost = [run for run in farm.trials() if run.status == "fetch-failed"]
    assert lost
    assert "could not be built again" in lost[0].detail


def test_what_open_comparisons_need_stays_in_the_store(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 2 else P})
    for position in (1, 2, 3):
        farm.subject(position)
    farm.judge()
    # Later ones, so that neither is the newest of the track any more.
    for position in (4, 5):
        farm.subject(position)
    with sessions.reading() as session:
        assert {farm.digest(2), farm.digest(3)} <= set(store_roots.roots(session))
    farm.settle()
    with sessions.reading() as session:
        assert farm.digest(2) not in store_roots.roots(session)


def test_a_mistake_in_one_comparison_stops_no_other(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 1 else P, "b": F if at > 2 else P})
    for position in (1, 2, 3):
        farm.subject(position)
    decide = store_examine.examine

    def mistaken(comparison: object, *others: object) -> object:
        if any(one.item == "a" for one in comparison.differences):  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return decide(comparison, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(store_examine, "examine", mistaken)
    for _ in range(60):
        farm.judge()
        for run in farm.runs(state="wanted"):
            farm.carry_out(run.key, "one")
    assert farm.causes() == {"a": "", "b": "interpreter"}
    with sessions.reading() as session:
        (condition,) = session.scalars(select(Condition)).all()
    assert "ZeroDivisionError" in condition.text
    monkeypatch.setattr(store_examine, "examine", decide)
    farm.now += timedelta(minutes=6)
    farm.settle()
    assert farm.causes() == {"a": "interpreter", "b": "interpreter"}
    with sessions.reading() as session:
        assert session.scalars(select(Condition)).all() == []


def test_one_that_passes_alone_waits_for_the_next_subject(sessions: Sessions) -> None:
    """Nothing is asked while the next run may say it at no cost; then it is said to be flaky."""
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": P, "b": P})
    for position in range(1, 30):
        farm.subject(position)
    farm.shows = lambda *_: {"a": F, "b": P}
    farm.subject(30)
    farm.shows = lambda *_: {"a": P, "b": P}
    later = farm.wanted(31)
    farm.judge()
    farm.judge()
    (trial,) = farm.trials()
    farm.carry_out(trial.key, "one")
    farm.judge()
    (comparison,) = farm.comparisons()
    assert (comparison.state, len(farm.trials())) == ("waiting", 1)
    assert comparison.wait_until is not None
    assert farm.judge() == 0, "it is not looked at again and again"
    farm.carry_out(later, "one")
    farm.settle()
    assert farm.causes() == {"a": "flaky"}
    assert farm.comparisons()[0].state == "closed"
    assert 0 < (farm.verdicts()["a"].rate or 0) < 1


def test_where_no_later_run_comes_it_is_not_waited_for(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda *_: {"a": P, "b": P})
    for position in range(1, 30):
        farm.subject(position)
    farm.shows = lambda *_: {"a": F, "b": P}
    farm.subject(30)
    farm.shows = lambda *_: {"a": P, "b": P}
    later = farm.wanted(31)
    farm.settle_without(later)
    assert farm.comparisons()[0].state == "waiting"
    with sessions.writing() as session:
        session.scalars(select(RunRow).where(RunRow.key == later)).one().state = "finished"
    farm.now += timedelta(minutes=2)
    farm.settle()
    assert farm.causes() == {"a": "flaky"}
    assert any(not run.alone for run in farm.trials()), (
        "the whole suite speaks before anything is called flaky"
    )


def test_a_hang_is_judged_with_the_machine_idle(sessions: Sessions) -> None:
    def shows(at: int, *_: str) -> Mapping[str, Outcome] | Ending:
        return Ending.QUIET_LIMIT if at > 2 else {"a": P}

    farm = SimulatedFarm(sessions, shows)
    for position in (1, 2, 3):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"": "interpreter"}
    assert {run.machine_idle for run in farm.trials()} == {True}


def test_a_suite_that_now_skips_everything(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: dict.fromkeys("abc", S if at > 3 else P))
    for position in range(1, 5):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"": "interpreter"}
    assert farm.verdicts()[""].kind == "suite-skipped"


def test_a_test_that_is_gone(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"b": P} if at > 3 else {"a": P, "b": P})
    for position in range(1, 5):
        farm.subject(position)
    farm.settle()
    assert farm.causes() == {"a": "interpreter"}
    assert farm.verdicts()["a"].kind == "vanished"


def test_many_tests_with_one_fault_cost_no_more_than_one(sessions: Sessions) -> None:
    names = [f"t{number}" for number in range(200)]
    farm = SimulatedFarm(sessions, lambda at, *_: dict.fromkeys(names, F if at > 2 else P))
    for position in (1, 2, 3):
        farm.subject(position)
    farm.settle()
    assert set(farm.causes().values()) == {"interpreter"}
    assert len(farm.trials()) < 30


def test_a_trial_that_nobody_takes_ends_after_a_day(sessions: Sessions) -> None:
    farm = SimulatedFarm(sessions, lambda at, *_: {"a": F if at > 2 else P})
    for position in (1, 2, 3):
        farm.subject(position)
    farm.judge()
    farm.judge()
    farm.now += timedelta(hours=25)
    farm.judge()
    assert farm.trials()[0].status == "worker-lost"
    assert "within a day" in farm.trials()[0].detail
