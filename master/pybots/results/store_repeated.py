"""Saves a run whose report is, times aside, that of the run before it: nothing of it has to be read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions
from pybots.database.tables import RunRow
from pybots.results.store_run import (
    ReceivedRun,
    claim_unfinished,
    counts_of,
    is_newest,
    other_subjects,
    save_counts,
    save_ending,
)
from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots.runs.status import Role, RunStatus
from pybots_worker.contract import RunResult, RunSpecification


class Repeated(NamedTuple):
    """Whether all was saved, and then how the run ended; None where that was saved before."""

    saved: bool
    status: RunStatus | None = None


NOT_REPEATED = Repeated(saved=False)


def ingest_repeated(sessions: Sessions, run_key: str, received: ReceivedRun, now: datetime) -> Repeated:
    """Save the run if it is its project's newest on the track, and the one before was complete and reported the same.

    It then has the outcomes of that one: no interval changes. Raises what `store_run.claim_unfinished` raises.
    """
    if not received.report_digest:
        return NOT_REPEATED
    with sessions.writing() as session:
        run = claim_unfinished(session, run_key, received)
        if run is None:
            return Repeated(saved=True)
        before = complete_before(session, run, received.report_digest)
        if before is None:
            return NOT_REPEATED
        specification = RunSpecification.model_validate_json(run.specification)
        conclusion = _concluded(received.result, specification, before)
        if not conclusion.complete:
            return NOT_REPEATED
        run.outcomes_digest = before.outcomes_digest
        save_counts(run, counts_of(before), before.collected, before.deselected)
        save_ending(session, run, received, conclusion, now)
        return Repeated(saved=True, status=conclusion.status)


def complete_before(session: Session, run: RunRow, report_digest: str) -> RunRow | None:
    """Return the run just before the newest one, *run*, if it was complete and its report has this digest."""
    if run.role != Role.SUBJECT or not is_newest(session, run):
        return None
    latest = select(RunRow).where(*other_subjects(run)).order_by(RunRow.place.desc()).limit(1)
    before = session.scalar(latest)
    if before is None or not before.complete or before.report_digest != report_digest:
        return None
    return before if _asked(run) == _asked(before) else None


def _asked(run: RunRow) -> tuple[object, ...]:
    """What of a specification decides how its report is counted and read."""
    specification = RunSpecification.model_validate_json(run.specification)
    return specification.report, specification.deselected


def _concluded(result: RunResult, specification: RunSpecification, before: RunRow) -> Conclusion:
    """Conclude from the counts of the run before; one that was complete had no problem and no collection error."""
    counts = {outcome.value: count for outcome, count in counts_of(before).items()}
    return conclude(result, ReportSummary(format=specification.report, counts=counts))
