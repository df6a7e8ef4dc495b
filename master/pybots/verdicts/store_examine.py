"""Gathers what is known of a comparison, and saves what is decided: verdicts and wants, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.tables import ComparisonRow, RunRow, TestRow, VerdictRow
from pybots.runs.status import RunStatus
from pybots.verdicts import store_frozen, store_trials
from pybots.verdicts.budget import share
from pybots.verdicts.compare import UNJUDGED
from pybots.verdicts.evidence import WHOLE_RUN, Axis, Comparison, Difference, Kind, Stretch
from pybots.verdicts.examine import examine
from pybots.verdicts.history import Seen, stretches
from pybots.verdicts.store_again import workers_beside
from pybots.verdicts.store_compare import CLOSED, DUE, WAITING
from pybots.verdicts.store_pasts import RUNS_LOOKED_AT, Looks, history_of, looked_at, read_pasts, whole_past
from pybots.verdicts.store_trials import Item
from pybots.verdicts.verdict import CLAIMS, Cause, Examination, Verdict

LATER_WITHIN = timedelta(hours=6)
"""So long after its beginning a comparison still waits for what later subject runs say at no cost."""
LOOK_AGAIN = timedelta(minutes=1)
"""After so long a comparison that waits for a later subject run is looked at again: perhaps none comes any more."""
LATER_RUNS = 200
_YEAR = timedelta(days=365)


def examine_comparison(
    session: Session,
    comparison: ComparisonRow,
    machines: Mapping[str, str],
    false_a_year: float,
    now: datetime,
) -> Examination:
    """Decide on *comparison* anew, and save what is new; it is then `waiting` or `closed`.

    *machines* says of each worker of the farm which machine it is on.
    """
    runs = store_trials.trials_of(session, comparison.id)
    if store_trials.under_way(runs):
        # Most looks end here: nothing more is decided before the last one that was asked for is there.
        comparison.state, comparison.wait_until = WAITING, None
        return Examination()
    subject = session.get_one(RunRow, comparison.subject_id)
    items = items_of(session, comparison.id)
    known = _comparison(session, comparison, subject, items, machines, now)
    trials = store_trials.finished(session, runs, items)
    alpha = share(false_a_year, claims_a_year(session, now))
    examination = examine(known, trials, (), alpha, _decided(items))
    _save_verdicts(session, items, examination.verdicts, now)
    store_trials.save_wants(session, comparison, subject, examination.wants, items, now)
    _move_on(comparison, items, examination, now)
    session.flush()
    return examination


def _move_on(comparison: ComparisonRow, items: Sequence[Item], said: Examination, now: datetime) -> None:
    """Say what the comparison waits for now; one that neither waits nor ends would be forgotten: an error."""
    comparison.wait_until = None
    if all(item.row.decided_at is not None for item in items) and not said.wants:
        comparison.state, comparison.closed_at = CLOSED, now
        return
    comparison.state = WAITING
    if said.waits_for_later:
        comparison.wait_until = now + LOOK_AGAIN
    elif not said.wants:
        msg = f"comparison {comparison.id} has neither a verdict for every item nor anything to wait for"
        raise RuntimeError(msg)


def items_of(session: Session, comparison_id: int) -> list[Item]:
    """Return the items of a comparison, decided or not, in their order."""
    query = (
        select(VerdictRow, TestRow.name)
        .outerjoin(TestRow, TestRow.id == VerdictRow.test_id)
        .where(VerdictRow.comparison_id == comparison_id)
        .order_by(VerdictRow.id)
    )
    return [
        Item(WHOLE_RUN if row.test_id is None else name, Kind(row.kind), row)
        for row, name in session.execute(query)
    ]


def due_comparisons(session: Session, now: datetime, limit: int) -> list[int]:
    """Return the comparisons that a decision has to look at, at most *limit*."""
    row = ComparisonRow
    waited = (row.state == WAITING) & (row.wait_until <= now)
    query = select(row.id).where((row.state == DUE) | waited).order_by(row.id).limit(limit)
    return list(session.scalars(query))


def look_again(session: Session, subject: RunRow) -> None:
    """Have those comparisons looked at that wait for what a later subject run says: *subject* is one."""
    row = ComparisonRow
    waiting = (
        select(row)
        .join(RunRow, RunRow.id == row.subject_id)
        .where(
            row.project_id == subject.project_id,
            row.track_id == subject.track_id,
            row.state == WAITING,
            row.wait_until.is_not(None),
            RunRow.place < subject.place,
        )
    )
    for comparison in session.scalars(waiting):
        comparison.state = DUE


def claims_a_year(session: Session, now: datetime) -> int:
    """Return how many claims the farm made in the last year, each cluster once."""
    claims = (
        select(func.count())
        .select_from(VerdictRow)
        .where(
            VerdictRow.cause.in_([cause.value for cause in CLAIMS]),
            VerdictRow.decided_at > now - _YEAR,
            VerdictRow.representative_id.is_(None),
        )
    )
    return session.scalar(claims) or 0


def _comparison(
    session: Session,
    comparison: ComparisonRow,
    subject: RunRow,
    items: Sequence[Item],
    machines: Mapping[str, str],
    now: datetime,
) -> Comparison:
    return Comparison(
        worker=subject.worker,
        moved=frozenset(Axis(word) for word in comparison.moved.split(",") if word),
        differences=tuple(_differences(session, comparison, subject, items)),
        others=other_workers(session, subject, machines),
        more_expected=store_frozen.more_expected(session, subject, comparison.opened_at + LATER_WITHIN, now),
        suite_tests=max(1, subject.collected),
        judged=RunStatus(subject.status) not in UNJUDGED,
    )


def _differences(
    session: Session, comparison: ComparisonRow, subject: RunRow, items: Sequence[Item]
) -> list[Difference]:
    before = Looks(store_frozen.places_before(session, subject, looked_at(len(items))))
    after = Looks(store_frozen.places_after(session, subject, LATER_RUNS))
    numbers = [item.row.test_id for item in items if item.row.test_id is not None]
    pasts = read_pasts(session, subject, numbers)
    controls = store_trials.earlier_controls(session, subject, numbers, comparison.id)
    found = []
    for item in items:
        if item.row.test_id is None:
            history, later = _whole_past(session, subject, item.kind)
        else:
            past = pasts.get(item.row.test_id)
            intervals = past.intervals if past else []
            told = controls.get(item.row.test_id, ())
            history = history_of(intervals, item.kind, before, told)
            later = after.seen(intervals, item.kind)
        found.append(
            Difference(
                item.name,
                item.kind,
                item.row.signature,
                history,
                tuple(seen.shows for seen in later),
            )
        )
    return found


def _whole_past(session: Session, subject: RunRow, kind: Kind) -> tuple[tuple[Stretch, ...], list[Seen]]:
    before = store_frozen.judged_before(session, subject, RUNS_LOOKED_AT)
    after = store_frozen.judged_after(session, subject, LATER_RUNS)
    return stretches(whole_past(before, kind)), whole_past(after, kind)


def other_workers(session: Session, subject: RunRow, machines: Mapping[str, str]) -> tuple[str, ...]:
    """Return workers of the same platform that are there now, one of each machine but that of *subject*."""
    own = machines.get(subject.worker, subject.worker)
    found: dict[str, str] = {}
    for name in workers_beside(session, subject.worker):
        found.setdefault(machines.get(name, name), name)
    return tuple(name for machine, name in found.items() if machine != own)


def _decided(items: Sequence[Item]) -> list[Verdict]:
    """Return the verdicts that were given before: they stand."""
    names = {item.row.id: item.name for item in items}
    return [
        Verdict(
            item=item.name,
            kind=item.kind,
            cause=Cause(item.row.cause),
            reason=item.row.reason,
            axes=tuple(Axis(word) for word in item.row.axes.split(",") if word),
            chance=item.row.chance,
            rate=item.row.rate,
            only_together=item.row.only_together,
            evidence=tuple(json.loads(item.row.evidence)),
            representative=names.get(item.row.representative_id or 0),
        )
        for item in items
        if item.row.decided_at is not None
    ]


def _save_verdicts(
    session: Session, items: Sequence[Item], verdicts: Sequence[Verdict], now: datetime
) -> None:
    rows = {item.name: item.row for item in items}
    for verdict in verdicts:
        row = rows[verdict.item]
        if row.decided_at is not None:
            continue
        row.decided_at = now
        row.kind, row.cause = verdict.kind.value, verdict.cause.value
        row.axes = ",".join(verdict.axes)
        row.reason, row.chance, row.rate = verdict.reason, verdict.chance, verdict.rate
        row.only_together = verdict.only_together
        row.evidence = json.dumps(list(verdict.evidence))
        if verdict.representative is not None:
            row.representative_id = rows[verdict.representative].id
