"""Reads a verdict as what it says of incidents: where it was seen, of what fault, between which commits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

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
from pybots.verdicts.store_surfaced import failure_of, save_surfaced
from pybots.verdicts.surfaced import Place, Surfaced, refused_file, wording
from pybots.verdicts.verdict import Cause

_WHAT_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Sighted:
    """One verdict with a cause, and what an incident keeps of it."""

    verdict: VerdictRow
    sighting: Sighting
    branch_id: int
    track_id: int
    project_id: int
    place: int
    what: str
    """The item and its track, for people."""
    reason: str
    """Why it is whose it is, and where it surfaced."""
    subject_key: str
    baseline_key: str


def sighted(session: Session, comparison: ComparisonRow, verdict: VerdictRow) -> Sighted:
    """Return what *verdict*, which says whose it is, says of incidents."""
    subject = session.get_one(RunRow, comparison.subject_id)
    baseline = session.get(RunRow, comparison.baseline_id) if comparison.baseline_id else None
    project = session.get_one(ProjectRow, comparison.project_id)
    failure = failure_of(session, verdict, subject)
    save_surfaced(session, verdict, subject)
    track = session.get_one(Track, comparison.track_id)
    test = session.get_one(TestRow, verdict.test_id).name if verdict.test_id else "the run as a whole"
    name = f"{project.name}, {test}, on {track_name(session, track.id)}"
    return Sighted(
        verdict=verdict,
        sighting=Sighting(
            Cause(verdict.cause),
            fault(said(verdict, project.name, failure)),
            Range(_last_good(session, comparison, baseline), subject.place // PLACES_PER_COMMIT),
        ),
        branch_id=track.branch_id,
        track_id=track.id,
        project_id=project.id,
        place=subject.place,
        what=shortened(name, _WHAT_LENGTH),
        reason=_reason(verdict, project.name, failure),
        subject_key=subject.key,
        baseline_key=baseline.key if baseline else "",
    )


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
    return f"{verdict.reason} {said_where}".strip()


def _last_good(session: Session, comparison: ComparisonRow, baseline: RunRow | None) -> int | None:
    if comparison.baseline_interpreter_id is not None:
        return session.get_one(InterpreterRow, comparison.baseline_interpreter_id).position
    return baseline.place // PLACES_PER_COMMIT if baseline else None
