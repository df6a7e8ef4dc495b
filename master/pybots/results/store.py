"""Saves a run's results in the results database, once, and reads outcomes and histories."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions
from pybots.database.tables import ProjectRow, RunRow
from pybots.results.junit_pieces import is_in_pieces
from pybots.results.observed import Observed, observed, outcomes_digest
from pybots.results.outcome import Report
from pybots.results.store_asked import save_trial
from pybots.results.store_histories import Run, save_histories
from pybots.results.store_last_report import compressed, save_last_report
from pybots.results.store_newest import lasting, save_newest
from pybots.results.store_read import FailedTest, OutcomeAt, Span, failures_of_run, history, outcomes_at
from pybots.results.store_rows import save_failures, save_run_failures, save_tests
from pybots.results.store_run import (
    KEPT_LOG_BYTES,
    ReceivedRun,
    claim_unfinished,
    finish,
    is_newest,
    other_subjects,
    save_counts,
    save_ending,
    unfinished,
)
from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots.runs.status import Role, RunStatus
from pybots_worker.contract import RunSpecification

__all__ = [
    "KEPT_LOG_BYTES",
    "FailedTest",
    "OutcomeAt",
    "ReceivedRun",
    "Span",
    "failures_of_run",
    "history",
    "ingest",
    "outcomes_at",
    "record_lost",
]


def ingest(sessions: Sessions, run_key: str, received: ReceivedRun, now: datetime) -> RunStatus | None:
    """Save all of *received* in one transaction; return how the run ended, or None where it was saved before.

    Raises what `store_run.claim_unfinished` raises.
    """
    report = received.report
    # Before the transaction, which makes every other writer wait: of half a million failures this takes long.
    tests = observed(report)
    digest = outcomes_digest(tests) if tests else ""
    last = compressed(received.lasting) if is_in_pieces(received.lasting, len(tests)) else b""
    with sessions.writing() as session:
        run = claim_unfinished(session, run_key, received)
        if run is None:
            return None
        run.outcomes_digest = digest
        specification = RunSpecification.model_validate_json(run.specification)
        conclusion = conclude(received.result, _summary(specification, report))
        # Runners that do not say how many they left out were told which ones.
        left_out = len(specification.deselected) if report.deselected is None else report.deselected
        save_counts(run, report.counts(), max(report.collected or 0, len(report.results)), left_out)
        save_ending(session, run, received, conclusion, now)
        _save_outcomes(session, run, specification, tests, last)
        return conclusion.status


def record_lost(
    sessions: Sessions, run_key: str, status: RunStatus, detail: str, now: datetime
) -> RunStatus | None:
    """Finish a run that ended without a result; return *status*, or None where it was finished before.

    Raises LookupError where no run has the key.
    """
    with sessions.writing() as session:
        run = unfinished(session, run_key)
        if run is None:
            return None
        finish(session, run, Conclusion(status, detail[:500], complete=False), now)
        return status


def _save_outcomes(
    session: Session, run: RunRow, specification: RunSpecification, tests: Mapping[str, Observed], last: bytes
) -> None:
    subject = run.role == Role.SUBJECT
    if run.comparison_id is not None:
        save_trial(session, run, specification, tests)
        return
    # One at a time for a project: two runs that came together would both split the same interval.
    session.execute(select(ProjectRow.id).where(ProjectRow.id == run.project_id).with_for_update())
    newest = subject and run.complete and bool(run.outcomes_digest) and is_newest(session, run)
    if newest:
        save_last_report(session, run, last)
        if not _repeats(session, run):
            save_newest(session, run, tests, lasting(session, run.project_id, run.track_id))
        return
    kept = tests if subject else {name: test for name, test in tests.items() if test.bad}
    ids = save_tests(session, run.project_id, kept)
    failures = save_failures(session, kept.values())
    if subject:
        place = Run(run.project_id, run.track_id, run.place, run.complete)
        save_histories(session, place, {ids[name]: test for name, test in tests.items()}, failures)
    if not (subject and run.complete):
        save_run_failures(
            session, run.id, {ids[name]: test for name, test in tests.items() if test.bad}, failures
        )


def _repeats(session: Session, run: RunRow) -> bool:
    """Say whether the run before this one was complete and said the same."""
    columns = select(RunRow.complete, RunRow.outcomes_digest)
    before = session.execute(
        columns.where(*other_subjects(run)).order_by(RunRow.place.desc()).limit(1)
    ).first()
    return before is not None and before.complete and before.outcomes_digest == run.outcomes_digest


def _summary(specification: RunSpecification, report: Report) -> ReportSummary:
    return ReportSummary(
        format=specification.report,
        problem=report.problem,
        counts={outcome.value: count for outcome, count in report.counts().items()},
        collection_errors=report.collection_errors,
        under_way=report.under_way,
        asked=None if specification.tests is None else len(specification.tests),
    )
