"""Asks the results database which tests of the newest run say something else than before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from pybots.database.tables import FailureRow, IntervalRow, TestRow
from pybots.results.intervals import ABSENT, Seen
from pybots.results.observed import PASSED, Observed
from pybots.results.outcome import BAD, Outcome


class Changed(NamedTuple):
    """What of a run makes a difference."""

    tests: dict[str, Observed]
    """Tests that say something else than what lasted until now, or were not known."""
    gone: set[int]
    """Numbers of tests that were there until now, and that the run does not name."""


def changed_now(session: Session, project_id: int, track_id: int, tests: Mapping[str, Observed]) -> Changed:
    """Compare *tests*, of a run that comes after all others of the project on the track, with what lasts now.

    Those that passed before and now are told apart by their names alone: they are nearly all.
    """
    lasting = (
        IntervalRow.project_id == project_id,
        IntervalRow.track_id == track_id,
        IntervalRow.end_place.is_(None),
    )
    named = select(TestRow.name).join(IntervalRow, IntervalRow.test_id == TestRow.id).where(*lasting)
    passed_before = set(session.scalars(named.where(IntervalRow.outcome == Outcome.PASSED.value)))
    before = _otherwise(session, lasting)
    changed = {
        name: test
        for name, test in tests.items()
        if (name not in passed_before if test is PASSED else before.get(name) != test.seen)
    }
    gone = {name for name in passed_before if name not in tests}
    gone |= {name for name, seen in before.items() if name not in tests and seen != ABSENT}
    return Changed(changed, _numbers(session, project_id, gone))


def _otherwise(session: Session, lasting: tuple[ColumnElement[bool], ...]) -> dict[str, Seen]:
    """Return what lasts of the tests that did not pass."""
    query = (
        select(TestRow.name, IntervalRow.outcome, FailureRow.signature)
        .join(IntervalRow, IntervalRow.test_id == TestRow.id)
        .outerjoin(FailureRow, FailureRow.id == IntervalRow.failure_id)
        .where(*lasting, IntervalRow.outcome != Outcome.PASSED.value)
    )
    words = {outcome.value: (outcome, outcome in BAD) for outcome in Outcome}
    found: dict[str, Seen] = {}
    for name, word, signed in session.execute(query):
        outcome, bad = words[word]
        found[name] = Seen(outcome, (signed or "") if bad else "")
    return found


def _numbers(session: Session, project_id: int, names: set[str]) -> set[int]:
    if not names:
        return set()
    known = session.execute(select(TestRow.name, TestRow.id).where(TestRow.project_id == project_id))
    return {number for name, number in known if name in names}
