"""Saves what the row of a run says of it as a whole: how it ended, with what, and how many tests did what."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from pybots.database.bulk import insert_rows
from pybots.database.tables import EnvironmentRow, RunLog, RunRow, TopLevels
from pybots.database.types import whole
from pybots.results.outcome import Outcome, Report
from pybots.results.store_asked import have_it_compared
from pybots.runs.conclude import Conclusion
from pybots.runs.status import Role, State
from pybots_worker.contract import Lock, RunResult, lock_digest

KEPT_LOG_BYTES = 8_000_000
"""Compressed; a worker that keeps to its limits sends a quarter of it."""


@dataclass(frozen=True, slots=True)
class ReceivedRun:
    """What came back from a worker. *log* is zstandard-compressed; of one that is too large nothing is kept."""

    result: RunResult
    report: Report
    """Empty where there was none, and where it was not read (`store_repeated`)."""
    log: bytes
    worker: str
    lasting: bytes = b""
    """The report without its times (`report_digest.without_varying`); empty where that is, or it is too large."""
    report_digest: str = ""
    """`report_digest.report_digest` of that."""


def claim_unfinished(session: Session, run_key: str, received: ReceivedRun) -> RunRow | None:
    """Return the row of a run, held until the transaction ends; None where it was saved before.

    Raises LookupError where no run has the key, ValueError where the result is another run's, or the run was
    given to another worker meanwhile.
    """
    if received.result.key != run_key:
        msg = f"the result is that of run {received.result.key!r}, not of {run_key!r}"
        raise ValueError(msg)
    run = unfinished(session, run_key)
    if run is not None and run.worker not in {"", received.worker}:
        msg = f"run {run_key!r} was given to {run.worker}: what {received.worker} says of it does not count"
        raise ValueError(msg)
    return run


def unfinished(session: Session, run_key: str) -> RunRow | None:
    """Return the row of a run, held until the transaction ends; None where it is finished. Raises LookupError."""
    run = session.scalar(select(RunRow).where(RunRow.key == run_key).with_for_update())
    if run is None:
        msg = f"no run has the key {run_key!r}"
        raise LookupError(msg)
    return None if run.state == State.FINISHED else run


def save_ending(
    session: Session, run: RunRow, received: ReceivedRun, conclusion: Conclusion, now: datetime
) -> None:
    """Save how the run ended, what was installed, and its log."""
    run.complete = conclusion.complete
    run.environment_id = _environment(session, received.result.lock)
    run.report_digest = received.report_digest
    too_large = len(received.log) > KEPT_LOG_BYTES
    log = b"" if too_large else received.log
    truncated = received.result.log_truncated or too_large
    stack = received.result.native_stack
    session.add(RunLog(run_id=run.id, compressed=log, truncated=truncated, native_stack=stack))
    _describe(run, received)
    _save_top_levels(session, received.result)
    finish(session, run, conclusion, now)
    session.flush()


def save_counts(run: RunRow, counts: Mapping[Outcome, int], collected: int, deselected: int) -> None:
    """Save how many tests had which outcome."""
    run.collected = collected
    run.passed = counts[Outcome.PASSED]
    run.failed = counts[Outcome.FAILED]
    run.error = counts[Outcome.ERROR]
    run.skipped = counts[Outcome.SKIPPED]
    run.expected_failure = counts[Outcome.EXPECTED_FAILURE]
    run.unexpected_pass = counts[Outcome.UNEXPECTED_PASS]
    run.deselected = deselected


def counts_of(run: RunRow) -> Counter[Outcome]:
    """Return what `save_counts` saved."""
    return Counter(
        {
            Outcome.PASSED: run.passed,
            Outcome.FAILED: run.failed,
            Outcome.ERROR: run.error,
            Outcome.SKIPPED: run.skipped,
            Outcome.EXPECTED_FAILURE: run.expected_failure,
            Outcome.UNEXPECTED_PASS: run.unexpected_pass,
        }
    )


def is_newest(session: Session, run: RunRow) -> bool:
    """Say whether none of the project's subject runs on the track stands at the run's place or after it."""
    return not session.scalar(select(exists().where(*other_subjects(run), RunRow.place >= run.place)))


def other_subjects(run: RunRow) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the project's other subject runs on the track that said something of tests."""
    return (
        RunRow.project_id == run.project_id,
        RunRow.track_id == run.track_id,
        RunRow.role == Role.SUBJECT,
        RunRow.outcomes_digest != "",
        RunRow.id != run.id,
    )


def _environment(session: Session, lock: Lock | None) -> int | None:
    if lock is None:
        return None
    # Computed here: with a worker's word for it, one worker could give another's environment its own content.
    digest = lock_digest(lock.requirements, lock.build_constraints)
    row = EnvironmentRow
    values = (digest, whole(lock.requirements), whole(lock.build_constraints))
    insert_rows(session, (row.digest, row.requirements, row.build_constraints), [values], pass_over=True)
    return session.scalar(select(EnvironmentRow.id).where(EnvironmentRow.digest == digest))


def _save_top_levels(session: Session, result: RunResult) -> None:
    if result.environment_digest and result.top_levels:
        row = TopLevels
        values = (result.environment_digest, whole(json.dumps(result.top_levels)))
        insert_rows(session, (row.environment_digest, row.names), [values], pass_over=True)


def _describe(run: RunRow, received: ReceivedRun) -> None:
    result = received.result
    run.worker = received.worker
    run.revision = result.revision
    run.environment_digest = result.environment_digest or ""
    run.seconds = result.seconds
    run.suite_seconds = result.suite_seconds
    if result.suite_seconds and not result.tests_selected:
        run.alone = False  # the runner could not be told which tests to run
    run.phases = json.dumps([phase.model_dump() for phase in result.phases])


def finish(session: Session, run: RunRow, conclusion: Conclusion, now: datetime) -> None:
    """Save how the run ended, and have what rests on it looked at."""
    run.state = State.FINISHED
    run.status = conclusion.status
    run.detail = conclusion.detail
    run.finished_at = now
    have_it_compared(session, run)
