"""Saves what becomes of interpreters that were not made, or are made again: trials, worker's faults, incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import InterpreterRow, InterpreterTrial, Track, WorkerFault
from pybots.incidents.store_trunk_incidents import belongs, claim, last_good, recovered
from pybots.incidents.trunk import (
    TROUBLE,
    BuildAgain,
    Failed,
    Judged,
    Said,
    Tried,
    Try,
    judge,
    same_trouble,
)
from pybots.interpreters.plan import trial_key
from pybots.interpreters.records import DUE, JUDGED
from pybots.runs.status import Role, State
from pybots_worker.contract import InterpreterStatus

AT_ONCE = 200


def due_interpreters(session: Session) -> list[int]:
    """Return the numbers of interpreters that ended and were not judged yet, in the order of their commits."""
    due = select(InterpreterRow.id).where(InterpreterRow.judged == DUE)
    return list(session.scalars(due.order_by(InterpreterRow.position, InterpreterRow.id).limit(AT_ONCE)))


def judge_interpreter(
    session: Session,
    row: InterpreterRow,
    builders: Mapping[str, Collection[str]],
    machines: Mapping[str, str],
    now: datetime,
) -> None:
    """Go one step with an interpreter that is due: close, join, have it tried, open an incident, or say nothing.

    *builders*: by platform, the workers that make interpreters; *machines*: the machine of each worker.
    """
    if row.state != State.FINISHED:
        return
    if row.status == InterpreterStatus.PROVEN:
        row.judged = JUDGED
        recovered(session, row, now)
    elif row.status not in TROUBLE or belongs(session, row, now):
        row.judged = JUDGED
    elif not _under_way(session, row):
        _act(session, row, builders, machines, now)


def _act(
    session: Session,
    row: InterpreterRow,
    builders: Mapping[str, Collection[str]],
    machines: Mapping[str, str],
    now: datetime,
) -> None:
    trials = _trials(session, row)
    good = last_good(session, row)
    failed = Failed(
        status=row.status,
        worker=row.worker,
        confirmations=sum(trial.role == Role.CONFIRMATION for trial in trials),
        has_good=good is not None,
        others=_others(session, row, builders, machines),
    )
    own = [trial for trial in trials if row.finished_at is None or trial.wanted_at >= row.finished_at]
    tried = [Tried(Role(trial.role), trial.status, trial.detail) for trial in own]
    said = judge(failed, tried)
    match said:
        case Try(role):
            _want(session, row, good if role is Role.CONTROL and good else row, role, len(trials), now)
        case BuildAgain():
            _record_fault(session, row, said.fault, now)
            _build_again(row, said, machines, now)
        case Judged():
            row.judged = JUDGED
            _record_fault(session, row, said.fault, now)
            if said.said is Said.COMMIT and good is not None:
                claim(session, row, good, said.reason, [trial.key for trial in own], now)


def give_up_trials(session: Session, away: Collection[str], now: datetime) -> None:
    """End the trials that only workers in *away* may carry out; what they were for is then judged without them."""
    waiting = select(InterpreterTrial).where(
        InterpreterTrial.state.in_([State.WANTED, State.REQUESTED]),
        InterpreterTrial.on_worker.in_(list(away)),
    )
    for trial in session.scalars(waiting):
        trial.state, trial.status, trial.finished_at = State.FINISHED, "worker-lost", now
        trial.detail = f"{trial.on_worker} is away"
        session.get_one(InterpreterRow, trial.subject_id).judged = DUE


def _trials(session: Session, row: InterpreterRow) -> Sequence[InterpreterTrial]:
    own = select(InterpreterTrial).where(InterpreterTrial.subject_id == row.id)
    return session.scalars(own.order_by(InterpreterTrial.id)).all()


def _under_way(session: Session, row: InterpreterRow) -> bool:
    """Say whether trials run for this one, or for another of the branch that may be in the same trouble."""
    branch_id = session.get_one(Track, row.track_id).branch_id
    others = session.scalars(
        select(InterpreterRow)
        .join(InterpreterTrial, InterpreterTrial.subject_id == InterpreterRow.id)
        .join(Track, Track.id == InterpreterRow.track_id)
        .where(InterpreterTrial.state != State.FINISHED, Track.branch_id == branch_id)
    )
    return any(
        other.id == row.id or same_trouble(row.status, row.log_tail, other.status, other.log_tail)
        for other in others
    )


def _others(
    session: Session,
    row: InterpreterRow,
    builders: Mapping[str, Collection[str]],
    machines: Mapping[str, str],
) -> list[str]:
    platform = session.get_one(Track, row.track_id).platform
    failed = {machines.get(name, name) for name in [row.worker, *filter(None, row.not_on.split(","))]}
    return [name for name in builders.get(platform, ()) if machines.get(name, name) not in failed]


def _want(
    session: Session, row: InterpreterRow, made: InterpreterRow, role: Role, number: int, now: datetime
) -> None:
    session.add(
        InterpreterTrial(
            key=trial_key(row.key, number),
            subject_id=row.id,
            interpreter_id=made.id,
            role=role.value,
            on_worker=row.worker,
            state=State.WANTED.value,
            wanted_at=now,
        )
    )
    session.flush()


def _build_again(row: InterpreterRow, said: BuildAgain, machines: Mapping[str, str], now: datetime) -> None:
    if said.elsewhere:
        own = machines.get(row.worker, row.worker)
        same = {row.worker, *(name for name, machine in machines.items() if machine == own)}
        row.not_on = ",".join(sorted({*same, *filter(None, row.not_on.split(","))}))
    row.state, row.status, row.judged, row.attempts, row.wanted_at = State.WANTED.value, "", "", 0, now
    row.detail = said.reason[:500]


def _record_fault(session: Session, row: InterpreterRow, what: str, now: datetime) -> None:
    if what:
        session.add(WorkerFault(worker=row.worker, at=now, interpreter_key=row.key, what=what[:500]))
