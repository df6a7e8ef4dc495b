"""Saves the trials that a comparison wants as runs, and reads what finished ones showed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.bulk import one_of
from pybots.database.tables import (
    PLACES_PER_COMMIT,
    ComparisonRow,
    InterpreterRow,
    RunFailureRow,
    RunRow,
    VerdictRow,
)
from pybots.interpreters import records as interpreters
from pybots.results.outcome import Outcome
from pybots.runs.status import Role, RunStatus, State
from pybots.verdicts import store_frozen, store_known, store_said
from pybots.verdicts.compare import UNJUDGED, showing, whole_showing
from pybots.verdicts.evidence import (
    CONTROL,
    SUBJECT,
    Axis,
    Back,
    Kind,
    Showing,
    Trial,
    WantedTrial,
)
from pybots.verdicts.freeze import specification_of, tests_of
from pybots_worker.contract import RunSpecification

_ENDED_IN_A_TEST = frozenset({RunStatus.CRASHED, RunStatus.TIMED_OUT, RunStatus.MEMORY_LIMIT})
SOME_TESTS = 5
"""Of a suite that skips everything so many tests are run again."""
_GONE_FOR_EVER = 2
"""What could not be fetched so often, on trials that put the same back, is not there any more."""


class OutcomeAt(NamedTuple):
    """What one execution of a test did, and at which place its interpreter stands."""

    place: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Item:
    """A verdict's row, by what it is of."""

    name: str
    kind: Kind
    row: VerdictRow


def trials_of(session: Session, comparison_id: int) -> list[RunRow]:
    """Return every run that the comparison ever asked for, in order."""
    asked = select(RunRow).where(RunRow.comparison_id == comparison_id)
    return list(session.scalars(asked.order_by(RunRow.trial, RunRow.id)))


def earlier_controls(
    session: Session, subject: RunRow, tests: Sequence[int], before: int | None = None
) -> dict[int, list[OutcomeAt]]:
    """Return what controls on the track, before *subject*, showed of *tests*, and at which places they stand.

    With *before*, only those that comparisons with a lower number asked for.
    """
    trial, failure, own = RunRow, RunFailureRow, InterpreterRow
    query = (
        select(failure.test_id, own.position, failure.outcome)
        .join(trial, trial.id == failure.run_id)
        .join(own, own.id == trial.interpreter_id)
        .where(trial.project_id == subject.project_id, trial.track_id == subject.track_id)
        .where(trial.role == Role.CONTROL, one_of(session, failure.test_id, tests))
        .where(own.position < subject.place // PLACES_PER_COMMIT)
        .order_by(trial.id)
    )
    if before is not None:
        query = query.where(trial.comparison_id < before)
    found: defaultdict[int, list[OutcomeAt]] = defaultdict(list)
    for test_id, position, word in session.execute(query):
        found[test_id].append(OutcomeAt(position * PLACES_PER_COMMIT, Outcome(word)))
    return found


def under_way(runs: Iterable[RunRow]) -> bool:
    """Say whether one of *runs* has not finished."""
    return any(run.state != State.FINISHED for run in runs)


def finished(session: Session, runs: Iterable[RunRow], items: Sequence[Item]) -> list[Trial]:
    """Return what those of *runs* that have finished showed of *items*."""
    ended = [run for run in runs if run.state == State.FINISHED]
    outcomes = _outcomes(session, [run.id for run in ended])
    lost = Counter(run.back for run in ended if run.status == RunStatus.FETCH_FAILED)
    return [
        Trial(
            key=run.key,
            back=back_of(run),
            worker=run.worker or run.on_worker,
            alone=run.alone,
            shows=_shows(run, items, outcomes[run.id]),
            judged=run.status not in UNJUDGED,
            unfetchable=run.status == RunStatus.FETCH_FAILED and lost[run.back] >= _GONE_FOR_EVER,
        )
        for run in ended
    ]


def back_of(run: RunRow) -> Back:
    """Return the axes that the trial *run* puts back."""
    return frozenset(Axis(word) for word in _names(run.back))


def asked_for(run: RunRow) -> tuple[str, ...]:
    """Return the items that the trial *run* was asked for."""
    return tuple(json.loads(run.items))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _outcomes(session: Session, runs: Sequence[int]) -> Mapping[int, Mapping[int, Outcome]]:
    found: defaultdict[int, dict[int, Outcome]] = defaultdict(dict)
    query = select(RunFailureRow.run_id, RunFailureRow.test_id, RunFailureRow.outcome)
    for run_id, test_id, word in session.execute(query.where(RunFailureRow.run_id.in_(runs))):
        found[run_id][test_id] = Outcome(word)
    return found


def _shows(run: RunRow, items: Iterable[Item], outcomes: Mapping[int, Outcome]) -> dict[str, Showing]:
    """Return what *run* shows of each item that it was asked for; where the whole suite ran, of others too."""
    tests = RunSpecification.model_validate_json(run.specification).tests
    asked = set(asked_for(run))
    shows = {}
    for item in items:
        if item.name in asked or not run.alone:
            shown = _showing(run, item, outcomes, tests)
            if item.name in asked or shown is not Showing.UNKNOWN:
                shows[item.name] = shown
    return shows


def _showing(run: RunRow, item: Item, outcomes: Mapping[int, Outcome], tests: list[str] | None) -> Showing:
    status = RunStatus(run.status)
    if status in UNJUDGED:
        return Showing.UNKNOWN
    if item.row.test_id is None:
        counts = store_frozen.counts(run)
        return whole_showing(item.kind, status, counts, ran_no_tests=tests == [])
    if item.row.test_id in outcomes:
        return showing(item.kind, outcomes[item.row.test_id])
    if tests == [item.name] and status in _ENDED_IN_A_TEST:
        return showing(item.kind, Outcome.ERROR)  # it was bad in another way
    return Showing.UNKNOWN


def save_wants(
    session: Session,
    comparison: ComparisonRow,
    subject: RunRow,
    wants: Iterable[WantedTrial],
    items: Iterable[Item],
    now: datetime,
) -> list[RunRow]:
    """Save *wants* as runs that the dispatcher asks for; one that is there already is left as it is."""
    there = {run.trial for run in trials_of(session, comparison.id)}
    kinds = {item.name: item.kind for item in items if item.row.test_id is None}
    rows = [
        _wanted_run(session, comparison, subject, want, kinds, now)
        for want in sorted(wants, key=lambda want: want.serial)
        if want.serial not in there
    ]
    session.add_all(rows)
    session.flush()
    for number in {row.interpreter_id for row in rows}:
        _have_it_there(session, number, now)
    return rows


def _wanted_run(
    session: Session,
    comparison: ComparisonRow,
    subject: RunRow,
    want: WantedTrial,
    whole: Mapping[str, Kind],
    now: datetime,
) -> RunRow:
    key = f"{subject.key.partition('~')[0]}~trial~{comparison.id}~{want.serial}"
    kinds = [whole[item] for item in want.items if item in whole]
    during = store_said.ended_during(session, subject) if kinds else ""
    skipped = store_known.newly_skipped(session, subject, SOME_TESTS) if kinds else []
    tests = tests_of(want.items, kinds, during, alone=want.alone, newly_skipped=skipped)
    baseline = None if comparison.baseline_id is None else session.get_one(RunRow, comparison.baseline_id)
    number = comparison.baseline_interpreter_id
    moves = Axis.INTERPRETER in want.back and number is not None
    artifact = store_frozen.artifact_of(session, number) if moves and number is not None else None
    specification = specification_of(
        key,
        store_frozen.frozen(session, subject),
        None if baseline is None else store_frozen.frozen(session, baseline),
        want.back,
        artifact.digest if artifact else "",
        tests,
    )
    return RunRow(
        key=key,
        project_id=subject.project_id,
        track_id=subject.track_id,
        interpreter_id=number if moves else subject.interpreter_id,
        place=subject.place,
        role=_role(want.back),
        state=State.WANTED,
        specification=specification.model_dump_json(),
        deselected=len(specification.deselected),
        wanted_at=now,
        comparison_id=comparison.id,
        back=",".join(sorted(want.back)),
        trial=want.serial,
        alone=tests is not None,
        items=json.dumps(list(want.items)),
        on_worker=want.worker,
        not_on=",".join(sorted(want.not_on)),
        machine_idle=want.machine_idle,
    )


def _role(back: Back) -> Role:
    return {SUBJECT: Role.CONFIRMATION, CONTROL: Role.CONTROL}.get(back, Role.PROBE)


def _have_it_there(session: Session, interpreter_id: int, now: datetime) -> None:
    """Have an interpreter built again that was taken out of the store; its runs wait for it."""
    artifact = store_frozen.artifact_of(session, interpreter_id)
    if artifact is not None and artifact.removed_at is not None:
        interpreters.want_again(session, session.get_one(InterpreterRow, interpreter_id), now)
