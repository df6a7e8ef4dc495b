"""Reads what the subject runs since then showed of the items of incidents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, load_only

from pybots.database.tables import FailureRow, IncidentMember, IntervalRow, RunRow, VerdictRow
from pybots.incidents.close import Shown
from pybots.results.intervals import Interval, Seen
from pybots.results.outcome import Outcome
from pybots.runs.status import Role, RunStatus, State
from pybots.verdicts.compare import whole_showing
from pybots.verdicts.evidence import Kind
from pybots.verdicts.history import seen_at

LOOKED_AT = 2_000
"""Of what came since a member's first bad run only so many of the newest runs are looked at."""

COUNTS = {
    Outcome.PASSED: RunRow.passed,
    Outcome.FAILED: RunRow.failed,
    Outcome.ERROR: RunRow.error,
    Outcome.SKIPPED: RunRow.skipped,
    Outcome.EXPECTED_FAILURE: RunRow.expected_failure,
    Outcome.UNEXPECTED_PASS: RunRow.unexpected_pass,
}


class Item(NamedTuple):
    """A member of an incident: what it is, and how it went wrong."""

    member: IncidentMember
    verdict: VerdictRow

    @property
    def kind(self) -> Kind:
        """How it differs from what it was."""
        return Kind(self.verdict.kind)


def since(session: Session, items: Sequence[Item]) -> dict[int, list[Shown]]:
    """Return, by the members' numbers, what each subject run from the first bad one on showed, by place.

    All *items* are of one project on one track.
    """
    if not items:
        return {}
    first = min(item.member.first_place for item in items)
    one = items[0].member
    runs = _runs(session, one.project_id, one.track_id, first)
    tests = {item.member.test_id for item in items if item.member.test_id is not None}
    histories = _histories(session, one.track_id, tests, first)
    return {item.member.id: _shown(item, runs, histories) for item in items}


def _shown(item: Item, runs: Sequence[RunRow], histories: dict[int, list[Interval]]) -> list[Shown]:
    later = [run for run in runs if run.place >= item.member.first_place]
    if item.member.test_id is None:
        return [
            Shown(run.place, whole_showing(item.kind, RunStatus(run.status), counts(run))) for run in later
        ]
    places = [run.place for run in later if run.complete]
    history = histories.get(item.member.test_id, [])
    return [Shown(seen.place, seen.shows) for seen in seen_at(history, places, item.kind)]


def counts(run: RunRow) -> dict[Outcome, int]:
    """Return how many tests of *run* had each outcome."""
    return {outcome: getattr(run, column.key) for outcome, column in COUNTS.items()}


def _runs(session: Session, project_id: int | None, track_id: int, first: int) -> list[RunRow]:
    newest = session.scalars(
        select(RunRow)
        .where(RunRow.project_id == project_id, RunRow.track_id == track_id, RunRow.place >= first)
        .where(RunRow.role == Role.SUBJECT, RunRow.state == State.FINISHED)
        .options(load_only(RunRow.place, RunRow.status, RunRow.complete, *COUNTS.values()))
        .order_by(RunRow.place.desc())
        .limit(LOOKED_AT)
    )
    return list(newest)[::-1]


def _histories(
    session: Session, track_id: int, tests: Collection[int], first: int
) -> dict[int, list[Interval]]:
    found: defaultdict[int, list[Interval]] = defaultdict(list)
    numbers = sorted(tests)
    for start in range(0, len(numbers), 500):
        rows = session.execute(
            select(IntervalRow, FailureRow.signature)
            .outerjoin(FailureRow, FailureRow.id == IntervalRow.failure_id)
            .where(IntervalRow.test_id.in_(numbers[start : start + 500]), IntervalRow.track_id == track_id)
            .where(or_(IntervalRow.end_place.is_(None), IntervalRow.end_place > first))
            .order_by(IntervalRow.first_place)
        )
        for row, signed in rows:
            seen = Seen(Outcome(row.outcome), signed or "")
            found[row.test_id].append(Interval(row.first_place, row.end_place, seen))
    return dict(found)
