"""Saves whose code raised, for verdicts that say whose it is."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, one_of
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
from pybots.verdicts.surfaced import Surfaced, surfaced
from pybots_worker.contract import PypiSource, RunSpecification

_CRASHES = frozenset({Kind.CRASHED, Kind.TIMED_OUT})
_CHUNK = 500


def failures_of(session: Session, verdicts: Sequence[VerdictRow], subject: RunRow) -> dict[int, FailureRow]:
    """Return what the items of *verdicts* said in *subject*, by the verdicts' numbers.

    Of a suite that cannot be collected it is the first error; some said nothing.
    """
    numbers = {verdict.failure_id for verdict in verdicts if verdict.failure_id is not None}
    rows: dict[int, FailureRow] = {}
    for chunk in chunks(sorted(numbers), _CHUNK):
        found = session.scalars(select(FailureRow).where(one_of(session, FailureRow.id, chunk)))
        rows.update({row.id: row for row in found})
    said = {each.id: rows[each.failure_id] for each in verdicts if each.failure_id in rows}
    for verdict in verdicts:
        first = _first_error(session, subject) if verdict.kind == Kind.COLLECTION_FAILED else None
        if verdict.id not in said and first is not None:
            said[verdict.id] = first
    return said


def save_surfaced(
    session: Session, verdicts: Sequence[VerdictRow], failures: dict[int, FailureRow], subject: RunRow
) -> None:
    """Save where the items of *verdicts* surfaced in *subject*; what is known already stays."""
    project = session.get_one(ProjectRow, subject.project_id).name
    top_levels, own = _top_levels(session, subject), _own(subject)
    log = session.get(RunLog, subject.id) if any(each.kind in _CRASHES for each in verdicts) else None
    known: dict[tuple[str, str], Surfaced] = {}
    for verdict in verdicts:
        if verdict.surfaced:
            continue
        traceback = failures[verdict.id].traceback if verdict.id in failures else ""
        stack = log.native_stack if log and verdict.kind in _CRASHES else ""
        if (traceback, stack) not in known:
            known[traceback, stack] = surfaced(
                traceback, project=project, top_levels=top_levels, native_stack=stack, own=own
            )
        where = known[traceback, stack]
        verdict.surfaced, verdict.surfaced_in = where.place.value, where.name[:300]


def _first_error(session: Session, subject: RunRow) -> FailureRow | None:
    return session.scalars(
        select(FailureRow)
        .join(RunFailureRow, RunFailureRow.failure_id == FailureRow.id)
        .join(TestRow, TestRow.id == RunFailureRow.test_id)
        .where(RunFailureRow.run_id == subject.id)
        .where(RunFailureRow.outcome.in_([outcome.value for outcome in BAD]))
        .order_by(TestRow.name)
        .limit(1)
    ).one_or_none()


def _top_levels(session: Session, subject: RunRow) -> dict[str, str]:
    row = session.get(TopLevels, subject.environment_digest) if subject.environment_digest else None
    return dict(json.loads(row.names)) if row else {}


def _own(subject: RunRow) -> list[str]:
    source = RunSpecification.model_validate_json(subject.specification).source
    return [source.name] if isinstance(source, PypiSource) else []
