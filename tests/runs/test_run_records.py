"""What the dispatcher is told to ask for, and who is blamed for what was lost."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from pybots.database.engine import Sessions
from pybots.database.tables import ComparisonRow, InterpreterRow, RunRow, WorkerFault
from pybots.runs import records
from rows import NOW, Rows

PLATFORMS = ["linux-x86_64-glibc"]


def wanted(sessions: Sessions, workers: list[str] | None = None) -> list[records.WantedRun]:
    with sessions.reading() as session:
        return records.in_state(session, ["wanted"], PLATFORMS, NOW, 10, workers)


def trial(rows: Rows, number: int, **values: object) -> RunRow:
    comparison = rows.session.get(ComparisonRow, 1)
    if comparison is None:
        subject = rows.run(1, key="subject", state="finished")
        comparison = ComparisonRow(
            id=1,
            subject_id=subject.id,
            project_id=subject.project_id,
            track_id=subject.track_id,
            state="waiting",
            opened_at=NOW,
        )
        rows.session.add(comparison)
        rows.session.flush()
    asked = {"key": f"trial {number}", "state": "wanted", "role": "control", "trial": number}
    return rows.run(1, comparison_id=1, **{**asked, **values})


def test_trials_come_first_each_in_its_order(sessions: Sessions) -> None:
    with sessions.writing() as session:
        rows = Rows(session)
        rows.run(2, key="subject of the next", state="wanted")
        for number in (0, 1):
            trial(rows, number)
    assert [run.key for run in wanted(sessions)] == ["trial 0", "trial 1", "subject of the next"]


def test_what_one_worker_alone_may_carry_out_waits_until_it_is_there(sessions: Sessions) -> None:
    with sessions.writing() as session:
        rows = Rows(session)
        trial(rows, 0, on_worker="one", machine_idle=True)
        trial(rows, 1, not_on="one,three")
    assert [run.key for run in wanted(sessions, ["two"])] == ["trial 1"]
    first, second = wanted(sessions, ["one", "two"])
    assert (first.on_worker, first.not_on, first.machine_idle, first.trial) == ("one", (), True, True)
    assert (second.on_worker, second.not_on, second.machine_idle) == ("", ("one", "three"), False)


def test_a_trial_waits_for_an_interpreter_that_is_built_again(sessions: Sessions) -> None:
    with sessions.writing() as session:
        number = trial(Rows(session), 0).interpreter_id
        session.get_one(InterpreterRow, number).state = "wanted"
    assert wanted(sessions) == []


def test_trials_are_no_subjects_of_their_interpreter(sessions: Sessions) -> None:
    with sessions.writing() as session:
        rows = Rows(session)
        trial(rows, 0)
        interpreter = session.get_one(InterpreterRow, 1)
        assert records.next_serial(session, "attrs", interpreter) == 1


def test_a_lost_attempt_is_in_the_record_of_the_worker_that_lost_it(sessions: Sessions) -> None:
    with sessions.writing() as session:
        Rows(session).run(1, key="a run", state="requested")
    began = NOW - timedelta(hours=1)
    for worker in ("one", "two"):
        with sessions.writing() as session:
            assert records.claim(session, "a run", worker, 7, began, NOW) is not None
    with sessions.writing() as session:
        assert records.release(session, "a run", 3, NOW, "the upload broke")
    with sessions.reading() as session:
        faults = [(fault.worker, fault.what) for fault in session.scalars(select(WorkerFault))]
    assert faults == [("one", "the connection was lost during the run"), ("two", "the upload broke")]


def test_what_an_earlier_life_of_the_master_left_is_nobodys_fault(sessions: Sessions) -> None:
    with sessions.writing() as session:
        Rows(session).run(1, key="a run", state="running", worker="one", started_at=NOW - timedelta(hours=2))
    with sessions.writing() as session:
        claimed = records.claim(session, "a run", "two", 7, NOW - timedelta(hours=1), NOW)
        assert claimed is not None
        assert session.scalars(select(WorkerFault)).all() == []
