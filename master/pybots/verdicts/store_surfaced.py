"""Saves whose code raised, for a verdict that says whose it is."""

from __future__ import annotations

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    FailureRow,
    ProjectRow,
    RunFailureRow,
    RunLog,
    RunRow,
    TestRow,
    TopLevels,
    VerdictRow,
)
from pybots.results.outcome import BAD
from pybots.verdicts.evidence import Kind
from pybots.verdicts.surfaced import surfaced
from pybots_worker.contract import PypiSource, RunSpecification

_CRASHES = frozenset({Kind.CRASHED, Kind.TIMED_OUT})


def failure_of(session: Session, verdict: VerdictRow, subject: RunRow) -> FailureRow | None:
    """Return what *verdict*'s item said in *subject*; of a suite that cannot be collected, its first error."""
    if verdict.failure_id is not None:
        return session.get(FailureRow, verdict.failure_id)
    if verdict.kind != Kind.COLLECTION_FAILED:
        return None
    return session.scalars(
        select(FailureRow)
        .join(RunFailureRow, RunFailureRow.failure_id == FailureRow.id)
        .join(TestRow, TestRow.id == RunFailureRow.test_id)
        .where(RunFailureRow.run_id == subject.id)
        .where(RunFailureRow.outcome.in_([outcome.value for outcome in BAD]))
        .order_by(TestRow.name)
        .limit(1)
    ).one_or_none()


def save_surfaced(session: Session, verdict: VerdictRow, subject: RunRow) -> None:
    """Save where *verdict*'s item surfaced in *subject*; what is known already stays."""
    if verdict.surfaced:
        return
    failure = failure_of(session, verdict, subject)
    log = session.get(RunLog, subject.id) if verdict.kind in _CRASHES else None
    where = surfaced(
        failure.traceback if failure else "",
        project=session.get_one(ProjectRow, subject.project_id).name,
        top_levels=_top_levels(session, subject),
        native_stack=log.native_stack if log else "",
        own=_own(subject),
    )
    verdict.surfaced, verdict.surfaced_in = where.place.value, where.name[:300]


def _top_levels(session: Session, subject: RunRow) -> dict[str, str]:
    row = session.get(TopLevels, subject.environment_digest) if subject.environment_digest else None
    return dict(json.loads(row.names)) if row else {}


def _own(subject: RunRow) -> list[str]:
    source = RunSpecification.model_validate_json(subject.specification).source
    return [source.name] if isinstance(source, PypiSource) else []
