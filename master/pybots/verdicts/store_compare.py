"""Compares a finished subject with what was before it, and saves each difference as an undecided verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session, aliased

from pybots.database.tables import (
    ComparisonRow,
    InterpreterRow,
    IntervalRow,
    RunRow,
    TestRow,
    VerdictRow,
)
from pybots.results.intervals import Interval
from pybots.results.outcome import BAD, Outcome
from pybots.runs.status import Role, RunStatus, State
from pybots.verdicts import store_expected, store_frozen, store_known, store_trials
from pybots.verdicts.compare import difference_of, is_covered, whole_run, why_quiet
from pybots.verdicts.evidence import WHOLE_RUN, Axis, Kind
from pybots.verdicts.expected import is_expected
from pybots.verdicts.freeze import moved_between
from pybots.verdicts.history import baseline_place, last_telling, stretches
from pybots.verdicts.store_pasts import (
    RUNS_LOOKED_AT,
    Looks,
    TestPast,
    history_of,
    looked_at,
    read_pasts,
    whole_past,
)
from pybots.verdicts.store_said import whole_signature
from pybots.verdicts.store_trials import OutcomeAt

MOST_DIFFERENCES = 5_000
"""Of one subject; more are not looked at one by one."""
WAITS_FOR_EARLIER = timedelta(minutes=30)
DUE, WAITING, CLOSED = "due", "waiting", "closed"
COMPARED = "compared"


@dataclass(frozen=True, slots=True)
class Found:
    """A difference, and where its baseline is (None: it is new)."""

    test_id: int | None
    kind: Kind
    signature: str
    failure_id: int | None
    baseline: int | None


def due_subjects(session: Session, now: datetime, limit: int) -> list[int]:
    """Return the finished subjects that are to be compared, at most *limit*.

    What comes before a subject is waited for, for a while, where it is under way: two workers may overtake each other.
    Interpreters are waited for only where there is nothing yet to compare with.
    """
    run, own, earlier, before = RunRow, InterpreterRow, aliased(RunRow), aliased(InterpreterRow)
    beside = (
        earlier.project_id == run.project_id,
        earlier.track_id == run.track_id,
        earlier.role == Role.SUBJECT,
        earlier.place < run.place,
    )
    unfinished = [state.value for state in State if state is not State.FINISHED]
    coming = exists().where(
        before.track_id == own.track_id, before.state.in_(unfinished), before.position < own.position
    )
    waits = or_(
        exists().where(*beside, earlier.state.in_(unfinished)),
        ~exists().where(*beside, earlier.complete) & coming,
    )
    due = (
        select(run.id)
        .join(own, own.id == run.interpreter_id)
        .where(run.compared == DUE, or_(run.finished_at <= now - WAITS_FOR_EARLIER, ~waits))
    )
    return list(session.scalars(due.order_by(run.place, run.id).limit(limit)))


def compare_subject(session: Session, run: RunRow, now: datetime) -> list[ComparisonRow]:
    """Save what differs in the finished subject *run*, which then counts as compared; return the comparisons made."""
    run.compared = COMPARED
    by_place: defaultdict[int | None, list[Found]] = defaultdict(list)
    for found in differences(session, run):
        by_place[found.baseline].append(found)
    made = [_comparison(session, run, place, items, now) for place, items in by_place.items()]
    return [row for row in made if row is not None]


def differences(session: Session, run: RunRow) -> list[Found]:
    """Return everything in which *run* differs from what was before it."""
    whole = _whole(session, run)
    kind = whole.kind if whole else None
    items = [found for found in _tests(session, run) if not is_covered(kind, found.kind)]
    known = store_known.still_broken(session, run)
    return [found for found in [*([whole] if whole else []), *items] if found.test_id not in known]


def _whole(session: Session, run: RunRow) -> Found | None:
    judged = store_frozen.judged_before(session, run, RUNS_LOOKED_AT)
    before = judged[-1] if judged else None
    kind = whole_run(
        RunStatus(before.status) if before else None,
        RunStatus(run.status),
        store_frozen.counts(before) if before else None,
        store_frozen.counts(run),
    )
    if kind is None:
        return None
    place = baseline_place(stretches(whole_past(judged, kind)))
    return Found(None, kind, whole_signature(session, run, kind), None, place)


def _tests(session: Session, run: RunRow) -> list[Found]:
    changed = _changed(session, run)
    if not changed:
        return []
    pasts = read_pasts(session, run, changed)
    places = store_frozen.places_before(session, run, looked_at(len(changed)))
    looks, controls = Looks(places), store_trials.earlier_controls(session, run, changed)
    found = {past.name: _test(test_id, past, run, looks, controls) for test_id, past in pasts.items()}
    quiet = store_expected.expectations_of(session, run.project_id)
    day = (run.finished_at or run.wanted_at).date()
    return [one for name, one in found.items() if one and not is_expected(quiet, name, one.kind, day)]


def _changed(session: Session, run: RunRow) -> list[int]:
    """Return the tests that say something else from *run* on: bad, skipped or gone."""
    quiet = [outcome.value for outcome in (Outcome.PASSED, Outcome.EXPECTED_FAILURE)]
    query = select(IntervalRow.test_id).where(
        IntervalRow.project_id == run.project_id,
        IntervalRow.track_id == run.track_id,
        IntervalRow.first_place == run.place,
        IntervalRow.outcome.not_in(quiet),
    )
    return list(session.scalars(query.order_by(IntervalRow.test_id).limit(MOST_DIFFERENCES)))


def _test(
    test_id: int, past: TestPast, run: RunRow, looks: Looks, controls: Mapping[int, Sequence[OutcomeAt]]
) -> Found | None:
    now = next((one for one in past.intervals if one.first == run.place), None)
    if now is None:
        return None
    before = _outcome_before(past.intervals, run.place, looks.places)
    after = now.seen.outcome
    if after in BAD and before in {Outcome.SKIPPED, Outcome.ABSENT, None}:
        before = last_telling(past.intervals, run.place)
    kind = difference_of(before, after, _runs_there(past.intervals, looks.places))
    if kind is None or why_quiet(past.name, kind):
        return None
    history = history_of(past.intervals, kind, looks, controls.get(test_id, ()))
    place = baseline_place(history, looks.places)
    return Found(test_id, kind, now.seen.signature, past.failures[now.first], place)


def _outcome_before(intervals: Iterable[Interval], place: int, places: Sequence[int]) -> Outcome | None:
    """Return what the test did at the last complete run before *place*."""
    last = places[-1] if places else place - 1
    holding = (one for one in intervals if one.first <= last and (one.end is None or last < one.end))
    found = next(holding, None)
    return found.seen.outcome if found else None


def _runs_there(intervals: Iterable[Interval], places: Sequence[int]) -> int:
    there = [one for one in intervals if one.seen.outcome not in {Outcome.SKIPPED, Outcome.ABSENT}]
    return sum(
        any(one.first <= place and (one.end is None or place < one.end) for one in there)
        for place in places[-10:]
    )


def _comparison(
    session: Session, run: RunRow, place: int | None, items: list[Found], now: datetime
) -> ComparisonRow | None:
    """Save one comparison with all *items* that have the same baseline; None where there is nothing to compare with."""
    baseline = None if place is None else store_frozen.run_at(session, run, place)
    if baseline is not None:
        interpreter_id = baseline.interpreter_id
        moved = moved_between(store_frozen.frozen(session, run), store_frozen.frozen(session, baseline))
    else:
        older = store_frozen.older_interpreter(session, run)
        if older is None:
            return None
        interpreter_id, moved = older.id, frozenset({Axis.INTERPRETER})
    row = ComparisonRow(
        subject_id=run.id,
        baseline_id=None if baseline is None else baseline.id,
        baseline_interpreter_id=interpreter_id,
        project_id=run.project_id,
        track_id=run.track_id,
        state=DUE,
        moved=",".join(sorted(moved)),
        opened_at=now,
    )
    session.add(row)
    session.flush()
    session.add_all(_verdict(row, item) for item in items)
    session.flush()
    return row


def _verdict(comparison: ComparisonRow, item: Found) -> VerdictRow:
    return VerdictRow(
        comparison_id=comparison.id,
        test_id=item.test_id,
        kind=item.kind.value,
        signature=item.signature,
        failure_id=item.failure_id,
    )


def item_names(session: Session, comparison_id: int) -> Mapping[int, str]:
    """Return the item of each verdict of a comparison, by the verdicts' numbers."""
    query = (
        select(VerdictRow.id, TestRow.name)
        .outerjoin(TestRow, TestRow.id == VerdictRow.test_id)
        .where(VerdictRow.comparison_id == comparison_id)
    )
    return {number: WHOLE_RUN if name is None else name for number, name in session.execute(query)}
