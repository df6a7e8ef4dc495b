"""Saves what becomes of runs that cannot be judged: the subject again, the worker's record, trials given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    ArtifactRow,
    ComparisonRow,
    InterpreterRow,
    ProjectRow,
    RunRow,
    WorkerFault,
    WorkerRow,
)
from pybots.interpreters.records import FIRST_PAUSE
from pybots.runs import records
from pybots.runs.schedule import run_key
from pybots.runs.status import Role, RunStatus, State
from pybots.verdicts.compare import UNJUDGED
from pybots_worker.contract import RunSpecification

MOST_AGAIN = 3
"""A subject that cannot be judged is run again so often at most."""
TAKEN_WITHIN = timedelta(days=1)
NOBODY = "no worker took it within a day"
BLAMED = UNJUDGED - {RunStatus.CANCELLED}


def save_fault(session: Session, run: RunRow, now: datetime) -> None:
    """Put into its worker's record that *run* could not be judged; once."""
    if run.status not in BLAMED or not run.worker:
        return
    if not session.scalar(
        select(exists().where(WorkerFault.run_id == run.id, WorkerFault.worker == run.worker))
    ):
        what = f"{run.status}: {run.detail}" if run.detail else run.status
        session.add(WorkerFault(worker=run.worker, at=now, run_id=run.id, what=what[:500]))


def subject_again(session: Session, run: RunRow, machines: Mapping[str, str], now: datetime) -> RunRow | None:
    """Want the subject *run*, which could not be judged, once more; None where that has been done often enough.

    Another machine takes it, where one is there; else the same, after a pause that is longer each time.
    """
    before = _unjudged_before(session, run)
    if run.status not in BLAMED or before > MOST_AGAIN:
        return None
    interpreter = session.get_one(InterpreterRow, run.interpreter_id)
    project = session.get_one(ProjectRow, run.project_id).name
    serial = records.next_serial(session, project, interpreter)
    specification = RunSpecification.model_validate_json(run.specification)
    key = run_key(project, interpreter.key, serial)
    elsewhere = _elsewhere(session, run, machines)
    wanted = records.plan(
        session,
        specification=specification.model_copy(update={"key": key}),
        interpreter=interpreter,
        serial=serial,
        state=State.WANTED,
        now=now if elsewhere else now + before**2 * FIRST_PAUSE,
    )
    if wanted is None:
        return None
    again = session.scalars(select(RunRow).where(RunRow.key == key)).one()
    if elsewhere:
        own = machines.get(run.worker, run.worker)
        same = {run.worker, *(name for name, machine in machines.items() if machine == own)}
        again.not_on = ",".join(sorted(same - {""}))
    return again


def _unjudged_before(session: Session, run: RunRow) -> int:
    """Return how many subject runs in a row, up to *run*, could not be judged on its interpreter."""
    beside = (RunRow.project_id == run.project_id, RunRow.interpreter_id == run.interpreter_id)
    statuses = session.scalars(
        select(RunRow.status)
        .where(*beside, RunRow.role == Role.SUBJECT, RunRow.place <= run.place)
        .order_by(RunRow.place.desc())
        .limit(MOST_AGAIN + 1)
    )
    count = 0
    for status in statuses:
        if status not in BLAMED:
            break
        count += 1
    return count


def _elsewhere(session: Session, run: RunRow, machines: Mapping[str, str]) -> bool:
    """Say whether a worker of the platform on another machine is there now."""
    own = machines.get(run.worker, run.worker)
    return any(machines.get(name, name) != own for name in workers_beside(session, run.worker))


def workers_beside(session: Session, worker: str) -> list[str]:
    """Return the workers of *worker*'s platform that are there now and take project runs, by name."""
    platform = select(WorkerRow.platform).where(WorkerRow.name == worker).scalar_subquery()
    # `fleet.sandbox` has the words, and is a later stage.
    takes_runs = WorkerRow.sandbox.not_like("takes no project runs%")
    here = select(WorkerRow.name).where(WorkerRow.connected, WorkerRow.platform == platform, takes_runs)
    return list(session.scalars(here.order_by(WorkerRow.name)))


def given_up(
    session: Session, away: timedelta, now: datetime, limit: int
) -> list[tuple[str, RunStatus, str]]:
    """Return trials that nobody will carry out, with how they end and why: at most *limit*.

    The one worker that may is away for longer than *away*, the interpreter that it needs cannot be had any more, or
    nobody took it for a day, for whatever reason.
    """
    row, worker = RunRow, WorkerRow
    unfinished = [state.value for state in State if state is not State.FINISHED]
    open_trials = (row.state.in_(unfinished), row.comparison_id.is_not(None))
    alone = (
        select(row.key, row.on_worker)
        .outerjoin(worker, worker.name == row.on_worker)
        .where(*open_trials, row.on_worker != "")
        .where(
            or_(
                worker.name.is_(None) & (row.wanted_at <= now - away),
                worker.connected.is_(False) & (worker.changed_at <= now - away),
            )
        )
    )
    lost = [
        (key, RunStatus.WORKER_LOST, f"{name} has been away for {away.total_seconds() / 60:.0f} minutes")
        for key, name in session.execute(alone.limit(limit))
    ]
    interpreter, artifact = InterpreterRow, ArtifactRow
    without = (
        select(row.key)
        .join(interpreter, interpreter.id == row.interpreter_id)
        .outerjoin(artifact, artifact.id == interpreter.artifact_id)
        .where(*open_trials, row.state == State.WANTED, interpreter.state == State.FINISHED)
        .where(or_(artifact.id.is_(None), artifact.removed_at.is_not(None)))
    )
    waiting = row.state.in_([State.WANTED.value, State.REQUESTED.value])
    late = select(row.key).where(row.comparison_id.is_not(None), waiting, row.wanted_at <= now - TAKEN_WITHIN)
    lost += [(key, RunStatus.WORKER_LOST, NOBODY) for key in session.scalars(late.limit(limit))]
    gone = "its interpreter was taken out of the store, and could not be built again"
    return lost + [(key, RunStatus.FETCH_FAILED, gone) for key in session.scalars(without.limit(limit))]


def trials_without_judgement(session: Session, comparison: ComparisonRow) -> list[RunRow]:
    """Return the comparison's finished trials that say nothing."""
    words = [status.value for status in BLAMED]
    query = select(RunRow).where(RunRow.comparison_id == comparison.id, RunRow.status.in_(words))
    return list(session.scalars(query))
