"""Saves a run's results in the results database, once, and reads outcomes and histories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions
from pybots.database.tables import EnvironmentRow, ProjectRow, RunLog, RunRow
from pybots.results.observed import Observed, observed, outcomes_digest
from pybots.results.outcome import Outcome, Report
from pybots.results.store_changes import changed_now
from pybots.results.store_histories import Run, save_histories
from pybots.results.store_read import FailedTest, OutcomeAt, Span, failures_of_run, history, outcomes_at
from pybots.results.store_rows import insert_missing, save_failures, save_run_failures, save_tests
from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots.runs.status import Role, RunStatus, State
from pybots_worker.contract import Lock, RunResult, RunSpecification, lock_digest

__all__ = [
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


KEPT_LOG_BYTES = 8_000_000
"""Compressed; a worker that keeps to its limits sends a quarter of it."""


@dataclass(frozen=True, slots=True)
class ReceivedRun:
    """What came back from a worker. *log* is zstandard-compressed; of one that is too large nothing is kept."""

    result: RunResult
    report: Report
    log: bytes
    worker: str


def ingest(sessions: Sessions, run_key: str, received: ReceivedRun, now: datetime) -> RunStatus | None:
    """Save all of *received* in one transaction; return how the run ended, or None where it was saved before.

    Raises LookupError where no run has the key, ValueError where the result is another run's, or the run was
    given to another worker meanwhile.
    """
    if received.result.key != run_key:
        msg = f"the result is that of run {received.result.key!r}, not of {run_key!r}"
        raise ValueError(msg)
    # Before the transaction, which makes every other writer wait: of half a million failures this takes long.
    tests = observed(received.report)
    digest = outcomes_digest(tests) if tests else ""
    with sessions.writing() as session:
        run = _unfinished(session, run_key)
        if run is None:
            return None
        if run.worker not in {"", received.worker}:
            msg = (
                f"run {run_key!r} was given to {run.worker}: what {received.worker} says of it does not count"
            )
            raise ValueError(msg)
        run.outcomes_digest = digest
        return _save(session, run, received, tests, now)


def record_lost(
    sessions: Sessions, run_key: str, status: RunStatus, detail: str, now: datetime
) -> RunStatus | None:
    """Finish a run that ended without a result; return *status*, or None where it was finished before.

    Raises LookupError where no run has the key.
    """
    with sessions.writing() as session:
        run = _unfinished(session, run_key)
        if run is None:
            return None
        _finish(run, Conclusion(status, detail[:500], complete=False), now)
        return status


def _unfinished(session: Session, run_key: str) -> RunRow | None:
    run = session.scalar(select(RunRow).where(RunRow.key == run_key).with_for_update())
    if run is None:
        msg = f"no run has the key {run_key!r}"
        raise LookupError(msg)
    return None if run.state == State.FINISHED else run


def _save(
    session: Session, run: RunRow, received: ReceivedRun, tests: Mapping[str, Observed], now: datetime
) -> RunStatus:
    result, report = received.result, received.report
    specification = RunSpecification.model_validate_json(run.specification)
    conclusion = conclude(result, _summary(specification, report))
    run.complete = conclusion.complete
    run.environment_id = _environment(session, result.lock)
    too_large = len(received.log) > KEPT_LOG_BYTES
    log = b"" if too_large else received.log
    session.add(RunLog(run_id=run.id, compressed=log, truncated=result.log_truncated or too_large))
    _count(run, report, specification)
    _describe(run, received)
    _finish(run, conclusion, now)
    session.flush()
    _save_outcomes(session, run, tests)
    return conclusion.status


def _save_outcomes(session: Session, run: RunRow, tests: Mapping[str, Observed]) -> None:
    subject = run.role == Role.SUBJECT
    # One at a time for a project: two runs that came together would both split the same interval.
    session.execute(select(ProjectRow.id).where(ProjectRow.id == run.project_id).with_for_update())
    newest = subject and run.complete and bool(run.outcomes_digest) and _newest(session, run)
    if newest and _repeats(session, run):
        return
    only = None
    if newest:
        tests, gone = changed_now(session, run.project_id, run.track_id, tests)
    kept = tests if subject else {name: test for name, test in tests.items() if test.bad}
    ids = save_tests(session, run.project_id, kept)
    failures = save_failures(session, kept.values())
    if newest:
        only = gone.union(ids.values())
    if subject:
        place = Run(run.project_id, run.track_id, run.place, run.complete)
        save_histories(session, place, {ids[name]: test for name, test in tests.items()}, failures, only)
    if not (subject and run.complete):
        save_run_failures(
            session, run.id, {ids[name]: test for name, test in tests.items() if test.bad}, failures
        )


def _newest(session: Session, run: RunRow) -> bool:
    """Say whether none of the project's subject runs on the track stands at the run's place or after it."""
    return not session.scalar(select(exists().where(*_others(run), RunRow.place >= run.place)))


def _repeats(session: Session, run: RunRow) -> bool:
    """Say whether the run before this one was complete and said the same."""
    columns = select(RunRow.complete, RunRow.outcomes_digest)
    before = session.execute(columns.where(*_others(run)).order_by(RunRow.place.desc()).limit(1)).first()
    return before is not None and before.complete and before.outcomes_digest == run.outcomes_digest


def _others(run: RunRow) -> tuple[ColumnElement[bool], ...]:
    return (
        RunRow.project_id == run.project_id,
        RunRow.track_id == run.track_id,
        RunRow.role == Role.SUBJECT,
        RunRow.outcomes_digest != "",
        RunRow.id != run.id,
    )


def _summary(specification: RunSpecification, report: Report) -> ReportSummary:
    return ReportSummary(
        format=specification.report,
        problem=report.problem,
        counts={outcome.value: count for outcome, count in report.counts().items()},
        collection_errors=report.collection_errors,
        under_way=report.under_way,
    )


def _environment(session: Session, lock: Lock | None) -> int | None:
    if lock is None:
        return None
    # Computed here: with a worker's word for it, one worker could give another's environment its own content.
    digest = lock_digest(lock.requirements, lock.build_constraints)
    insert_missing(session, EnvironmentRow, [{**lock.model_dump(), "digest": digest}])
    return session.scalar(select(EnvironmentRow.id).where(EnvironmentRow.digest == digest))


def _count(run: RunRow, report: Report, specification: RunSpecification) -> None:
    counts = report.counts()
    run.collected = max(report.collected or 0, len(report.results))
    run.passed = counts[Outcome.PASSED]
    run.failed = counts[Outcome.FAILED]
    run.error = counts[Outcome.ERROR]
    run.skipped = counts[Outcome.SKIPPED]
    run.expected_failure = counts[Outcome.EXPECTED_FAILURE]
    run.unexpected_pass = counts[Outcome.UNEXPECTED_PASS]
    # Runners that do not say how many they left out were told which ones.
    run.deselected = len(specification.deselected) if report.deselected is None else report.deselected


def _describe(run: RunRow, received: ReceivedRun) -> None:
    result = received.result
    run.worker = received.worker
    run.revision = result.revision
    run.environment_digest = result.environment_digest or ""
    run.seconds = result.seconds
    run.suite_seconds = result.suite_seconds
    run.phases = json.dumps([phase.model_dump() for phase in result.phases])


def _finish(run: RunRow, conclusion: Conclusion, now: datetime) -> None:
    run.state = State.FINISHED
    run.status = conclusion.status
    run.detail = conclusion.detail
    run.finished_at = now
