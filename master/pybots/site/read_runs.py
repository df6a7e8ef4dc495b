"""Talks to the results database: what is known of runs. Every query is bounded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session

from pybots.database import tables
from pybots.results.store import failures_of_run
from pybots.site.facts import Counts, FailingTest, Phase, Run, RunDetails, Track

MOST_FAILING = 200
"""Failing tests on one page; a broken suite may have tens of thousands."""
MOST_TRACEBACK = 60_000
MOST_LISTED = 500

_COUNTS = (
    "collected",
    "passed",
    "failed",
    "error",
    "skipped",
    "expected_failure",
    "unexpected_pass",
    "deselected",
)
_PLAIN = (
    *("key", "role", "state", "status", "detail", "worker", "revision", "complete"),
    *("wanted_at", "started_at", "finished_at", "seconds", "suite_seconds", "environment_digest"),
)


def select_runs() -> Select[Any]:
    """The columns of a `Run`, without the long texts that a list has no use for."""
    run = tables.RunRow
    return (
        select(
            run.id.label("number"),
            *(getattr(run, name) for name in _PLAIN + _COUNTS),
            tables.ProjectRow.name.label("project"),
            tables.Branch.name.label("branch"),
            tables.Track.variant,
            tables.Track.platform,
            tables.Commit.sha.label("commit"),
            tables.InterpreterRow.key.label("interpreter"),
            tables.EnvironmentRow.digest.label("environment"),
        )
        .join(tables.ProjectRow, tables.ProjectRow.id == run.project_id)
        .join(tables.Track, tables.Track.id == run.track_id)
        .join(tables.Branch, tables.Branch.id == tables.Track.branch_id)
        .join(tables.InterpreterRow, tables.InterpreterRow.id == run.interpreter_id)
        .join(tables.Commit, tables.Commit.id == tables.InterpreterRow.commit_id)
        .outerjoin(tables.EnvironmentRow, tables.EnvironmentRow.id == run.environment_id)
    )


def as_run(row: Row[Any]) -> Run:
    """Make a `Run` of a row of `select_runs()`."""
    values = row._mapping
    return Run(
        number=values["number"],
        project=values["project"],
        track=Track.of(values["branch"], values["variant"], values["platform"]),
        commit=values["commit"],
        interpreter=values["interpreter"],
        environment=values["environment"] or "",
        counts=Counts(**{name: values[name] for name in _COUNTS}),
        **{name: values[name] for name in _PLAIN},
    )


def runs(
    session: Session, *conditions: ColumnElement[bool], limit: int, oldest_first: bool = False
) -> list[Run]:
    """Return at most *limit* runs under *conditions*, newest first."""
    order = tables.RunRow.id.asc() if oldest_first else tables.RunRow.id.desc()
    statement = select_runs().where(*conditions).order_by(order).limit(min(limit, MOST_LISTED))
    return [as_run(row) for row in session.execute(statement)]


def list_runs(
    session: Session,
    *,
    project: str = "",
    track: Track | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Run]:
    """Return runs of *project* on *track* (of all, where not given) with a number below *before*."""
    conditions: list[ColumnElement[bool]] = []
    if project:
        conditions.append(tables.ProjectRow.name == project)
    if track:
        conditions += on_track(track)
    if before is not None:
        conditions.append(tables.RunRow.id < before)
    return runs(session, *conditions, limit=limit)


def on_track(track: Track) -> list[ColumnElement[bool]]:
    """The conditions that hold for rows on *track*."""
    return [
        tables.Branch.name == track.branch,
        tables.Track.variant == track.variant,
        tables.Track.platform == track.platform,
    ]


def project_history(session: Session, project: str, each: int) -> list[Run]:
    """Return the newest *each* subject runs of every track that *project* ever ran on, newest first."""
    numbered = (
        select(
            tables.RunRow.id,
            func.row_number()
            .over(
                partition_by=tables.RunRow.track_id,
                order_by=(tables.RunRow.place.desc(), tables.RunRow.id.desc()),
            )
            .label("nth"),
        )
        .join(tables.ProjectRow, tables.ProjectRow.id == tables.RunRow.project_id)
        .where(tables.ProjectRow.name == project, tables.RunRow.role == "subject")
        .subquery()
    )
    wanted = select(numbered.c.id).where(numbered.c.nth <= each)
    statement = select_runs().where(tables.RunRow.id.in_(wanted))
    order = (tables.RunRow.track_id, tables.RunRow.place.desc(), tables.RunRow.id.desc())
    return [as_run(row) for row in session.execute(statement.order_by(*order).limit(each * 100))]


def run_details(session: Session, key: str) -> RunDetails | None:
    """Return what is known of the run *key*; None where there is none."""
    found = runs(session, tables.RunRow.key == key, limit=1)
    if not found:
        return None
    row = session.execute(
        select(tables.RunRow.phases, tables.RunRow.specification).where(tables.RunRow.key == key)
    ).one()
    truncated = session.execute(
        select(tables.RunLog.truncated).where(tables.RunLog.run_id == found[0].number)
    ).scalar_one_or_none()
    failing = failing_tests(session, found[0].number)
    return RunDetails(
        run=found[0],
        phases=as_phases(row.phases),
        failing=failing,
        failing_total=max(found[0].counts.bad, len(failing)),
        command=_command(row.specification),
        has_log=truncated is not None,
        log_truncated=bool(truncated),
    )


def failing_tests(session: Session, run_id: int, limit: int = MOST_FAILING) -> list[FailingTest]:
    """Return the first *limit* failing tests of a run, by name, each text bounded."""
    return [
        FailingTest(
            test=found.name,
            outcome=str(found.outcome),
            exception=found.exception,
            message=found.message[:MOST_TRACEBACK],
            traceback=found.traceback[:MOST_TRACEBACK],
            signature=found.signature,
        )
        for found in failures_of_run(session, run_id, limit)
    ]


def as_phases(text: str) -> list[Phase]:
    """Read the JSON of a `phases` column; what cannot be read is no phase."""
    read: list[Phase] = []
    for entry in _list(text):
        if isinstance(entry, dict):
            seconds = entry.get("seconds", 0)
            read.append(
                Phase(
                    str(entry.get("name", "")),
                    float(seconds) if isinstance(seconds, int | float) else 0.0,
                    entry.get("succeeded") is True,
                )
            )
    return read


def _list(text: str) -> Sequence[object]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []


def _command(specification: str) -> list[str]:
    try:
        value = json.loads(specification)
    except ValueError:
        return []
    command = value.get("command", []) if isinstance(value, dict) else []
    return [str(argument) for argument in command] if isinstance(command, list) else []


def compressed_log(session: Session, key: str) -> tuple[bytes, bool] | None:
    """Return a run's compressed log and whether its middle was cut out; None where there is none."""
    row = session.execute(
        select(tables.RunLog.compressed, tables.RunLog.truncated)
        .join(tables.RunRow, tables.RunRow.id == tables.RunLog.run_id)
        .where(tables.RunRow.key == key)
    ).one_or_none()
    return None if row is None else (row.compressed, row.truncated)
