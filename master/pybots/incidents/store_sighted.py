"""Reads a verdict as what it says of incidents: where it was seen, of what fault, between which commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, one_of
from pybots.database.tables import (
    PLACES_PER_COMMIT,
    ComparisonRow,
    FailureRow,
    InterpreterRow,
    ProjectRow,
    RunRow,
    TestRow,
    Track,
    VerdictRow,
)
from pybots.incidents.fault import Said, fault
from pybots.incidents.join import Range, Sighting
from pybots.interpreters.records import track_name
from pybots.results.text import shortened
from pybots.verdicts.evidence import Kind
from pybots.verdicts.store_surfaced import failures_of, save_surfaced
from pybots.verdicts.surfaced import Place, Surfaced, refused_file, wording
from pybots.verdicts.verdict import Cause

_WHAT_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Sighted:
    """One verdict with a cause, and what an incident keeps of it."""

    verdict: VerdictRow
    failure: FailureRow | None
    sighting: Sighting
    branch_id: int
    project: str
    place: int
    what: str
    """The item and its track, for people."""
    subject_key: str
    baseline_key: str

    @property
    def reason(self) -> str:
        """Why it is whose it is, and where it surfaced."""
        return _reason(self.verdict, self.project, self.failure)


def sighted(session: Session, comparison: ComparisonRow, verdicts: Sequence[VerdictRow]) -> list[Sighted]:
    """Return what *verdicts* of *comparison*, which say whose it is, say of incidents; and save where they surfaced."""
    subject = session.get_one(RunRow, comparison.subject_id)
    baseline = session.get(RunRow, comparison.baseline_id) if comparison.baseline_id else None
    project = session.get_one(ProjectRow, comparison.project_id).name
    branch_id = session.get_one(Track, comparison.track_id).branch_id
    track = track_name(session, comparison.track_id)
    span = Range(_last_good(session, comparison, baseline), subject.place // PLACES_PER_COMMIT)
    failures = failures_of(session, verdicts, subject)
    save_surfaced(session, verdicts, failures, subject)
    names = _names(session, verdicts)
    found = []
    for verdict in verdicts:
        failure = failures.get(verdict.id)
        test = names.get(verdict.test_id, "the run as a whole")
        found.append(
            Sighted(
                verdict=verdict,
                failure=failure,
                sighting=Sighting(Cause(verdict.cause), fault(said(verdict, project, failure)), span),
                branch_id=branch_id,
                project=project,
                place=subject.place,
                what=shortened(f"{project}, {test}, on {track}", _WHAT_LENGTH),
                subject_key=subject.key,
                baseline_key=baseline.key if baseline else "",
            )
        )
    return found


def _names(session: Session, verdicts: Sequence[VerdictRow]) -> dict[int | None, str]:
    numbers = [verdict.test_id for verdict in verdicts if verdict.test_id is not None]
    found: dict[int | None, str] = {}
    for chunk in chunks(numbers, 5_000):
        rows = session.execute(select(TestRow.id, TestRow.name).where(one_of(session, TestRow.id, chunk)))
        found.update((number, name) for number, name in rows)
    return found


def said(verdict: VerdictRow, project: str, failure: FailureRow | None) -> Said:
    """Return what *verdict*'s item said."""
    return Said(
        kind=Kind(verdict.kind),
        cause=Cause(verdict.cause),
        project=project,
        signature=verdict.signature,
        exception=failure.exception if failure else "",
        message=failure.message if failure else "",
        surfaced=verdict.surfaced,
        surfaced_in=verdict.surfaced_in,
    )


def place_of(verdict: VerdictRow, traceback: str = "") -> Surfaced:
    """Return where *verdict*'s item surfaced."""
    refused = refused_file(traceback).replace("\\", "/").rpartition("/")[2]
    return Surfaced(Place(verdict.surfaced), verdict.surfaced_in, refused)


def _reason(verdict: VerdictRow, project: str, failure: FailureRow | None) -> str:
    if not verdict.surfaced:
        return verdict.reason
    traceback = failure.traceback if failure else ""
    said_where = wording(place_of(verdict, traceback), project, Cause(verdict.cause), traceback)
    return f"{verdict.reason}. {said_where}" if verdict.reason else said_where


def _last_good(session: Session, comparison: ComparisonRow, baseline: RunRow | None) -> int | None:
    if comparison.baseline_interpreter_id is not None:
        return session.get_one(InterpreterRow, comparison.baseline_interpreter_id).position
    return baseline.place // PLACES_PER_COMMIT if baseline else None
