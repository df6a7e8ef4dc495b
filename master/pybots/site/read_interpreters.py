"""Talks to the results database: what is known of interpreters and commits. Every query is bounded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session, aliased

from pybots.database import tables
from pybots.site.facts import Commit, Interpreter, InterpreterDetails, MissingModule, Proof, Track
from pybots.site.read_runs import MOST_LISTED, as_phases, on_track, runs

_PLAIN = (
    *("key", "position", "state", "status", "detail", "worker", "wanted_at", "started_at", "finished_at"),
    *("seconds", "clean_build", "fell_back"),
)
_EARLIER = aliased(tables.InterpreterRow)
_EARLIER_COMMIT = aliased(tables.Commit)


def select_interpreters() -> Select[Any]:
    """The columns of an `Interpreter`, without the long texts that a list has no use for."""
    row = tables.InterpreterRow
    return (
        select(
            row.id.label("number"),
            *(getattr(row, name) for name in _PLAIN),
            tables.Branch.name.label("branch"),
            tables.Track.variant,
            tables.Track.platform,
            tables.Commit.sha.label("commit"),
            tables.ArtifactRow.digest.label("artifact"),
            _EARLIER.key.label("inherited_from"),
            _EARLIER_COMMIT.sha.label("inherited_commit"),
        )
        .join(tables.Track, tables.Track.id == row.track_id)
        .join(tables.Branch, tables.Branch.id == tables.Track.branch_id)
        .join(tables.Commit, tables.Commit.id == row.commit_id)
        .outerjoin(tables.ArtifactRow, tables.ArtifactRow.id == row.artifact_id)
        .outerjoin(_EARLIER, _EARLIER.id == row.inherited_from_id)
        .outerjoin(_EARLIER_COMMIT, _EARLIER_COMMIT.id == _EARLIER.commit_id)
    )


def as_interpreter(row: Row[Any]) -> Interpreter:
    """Make an `Interpreter` of a row of `select_interpreters()`."""
    values = row._mapping
    return Interpreter(
        number=values["number"],
        track=Track.of(values["branch"], values["variant"], values["platform"]),
        commit=values["commit"],
        artifact=values["artifact"] or "",
        inherited_from=values["inherited_from"] or "",
        inherited_commit=values["inherited_commit"] or "",
        **{name: values[name] for name in _PLAIN},
    )


def interpreters(
    session: Session, *conditions: ColumnElement[bool], limit: int, oldest_first: bool = False
) -> list[Interpreter]:
    """Return at most *limit* interpreters under *conditions*, newest first."""
    order = tables.InterpreterRow.id.asc() if oldest_first else tables.InterpreterRow.id.desc()
    statement = select_interpreters().where(*conditions).order_by(order).limit(min(limit, MOST_LISTED))
    return [as_interpreter(row) for row in session.execute(statement)]


def list_interpreters(
    session: Session, *, track: Track | None = None, before: int | None = None, limit: int = 50
) -> list[Interpreter]:
    """Return interpreters on *track* (on all, where not given) with a number below *before*."""
    conditions = on_track(track) if track else []
    if before is not None:
        conditions.append(tables.InterpreterRow.id < before)
    return interpreters(session, *conditions, limit=limit)


def interpreter_details(session: Session, key: str) -> InterpreterDetails | None:
    """Return what is known of the interpreter *key*; None where there is none."""
    found = interpreters(session, tables.InterpreterRow.key == key, limit=1)
    if not found:
        return None
    row = session.execute(
        select(
            tables.InterpreterRow.phases,
            tables.InterpreterRow.proof,
            tables.InterpreterRow.log_tail,
            tables.ArtifactRow.added_bytes,
            tables.ArtifactRow.removed_at,
            tables.ArtifactRow.tree_bytes,
        )
        .outerjoin(tables.ArtifactRow, tables.ArtifactRow.id == tables.InterpreterRow.artifact_id)
        .where(tables.InterpreterRow.key == key)
    ).one()
    return InterpreterDetails(
        interpreter=found[0],
        phases=as_phases(row.phases),
        proof=as_proof(row.proof),
        added_bytes=row.added_bytes or 0,
        removed_at=row.removed_at,
        tree_bytes=row.tree_bytes or 0,
        log_tail=row.log_tail,
        runs=runs(session, tables.RunRow.interpreter_id == found[0].number, limit=200),
    )


def as_proof(text: str) -> Proof | None:
    """Read the JSON of a `proof` column; None where there is none that can be read."""
    try:
        value = json.loads(text)
        return Proof(
            version=str(value["version"]),
            modules=[str(name) for name in value["modules"]],
            missing=[_missing(entry) for entry in value["missing"]],
            checks={str(name): str(said) for name, said in value["checks"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _missing(entry: dict[str, object]) -> MissingModule:
    return MissingModule(str(entry["module"]), str(entry["package"]), str(entry["error"]))


def _select_commits() -> Any:
    place, commit = tables.BranchCommit, tables.Commit
    return (
        select(
            commit.id,
            commit.sha,
            commit.parent_sha,
            tables.Branch.name.label("branch"),
            place.position,
            commit.author_name,
            commit.committed_at,
            commit.subject,
            commit.touches,
            commit.files_changed,
            place.selection,
        )
        .join(place, place.commit_id == commit.id)
        .join(tables.Branch, tables.Branch.id == place.branch_id)
    )


def newest_commits(
    session: Session, each: int, branch: str = "", before: int | None = None, most: int = MOST_LISTED
) -> list[Commit]:
    """Return the newest *each* commits of every branch (or of *branch*, at positions below *before*)."""
    place = tables.BranchCommit
    within = aliased(place)
    head = select(func.max(within.position)).where(within.branch_id == place.branch_id)
    if before is not None:
        head = head.where(within.position < before)
    newest = head.correlate(place).scalar_subquery()
    conditions = [place.position > newest - each, place.position <= newest]
    if branch:
        conditions.append(tables.Branch.name == branch)
    statement = _select_commits().where(*conditions).order_by(tables.Branch.id, place.position.desc())
    return _with_interpreters(session, session.execute(statement.limit(most)).all())


def commit(session: Session, sha: str) -> list[Commit]:
    """Return the commit once for every branch that it is on; *sha* may be its first seven digits or more."""
    if not 7 <= len(sha) <= 40 or not set(sha) <= set("0123456789abcdef"):
        return []
    statement = _select_commits().where(tables.Commit.sha.between(sha, sha + "g"))
    return _with_interpreters(session, session.execute(statement.order_by(tables.Branch.id).limit(20)).all())


def _with_interpreters(session: Session, rows: Iterable[Row[Any]]) -> list[Commit]:
    rows = list(rows)
    made: dict[tuple[str, str], list[Interpreter]] = defaultdict(list)
    wanted = tables.InterpreterRow.commit_id.in_({row.id for row in rows})
    order = (tables.Track.variant != "default", tables.Track.variant, tables.Track.platform)
    statement = select_interpreters().where(wanted).order_by(*order).limit(20 * MOST_LISTED)
    for found in session.execute(statement):
        interpreter = as_interpreter(found)
        made[interpreter.track.branch, interpreter.commit].append(interpreter)
    return [
        Commit(
            sha=row.sha,
            parent=row.parent_sha,
            branch=row.branch,
            position=row.position,
            author=row.author_name,
            committed_at=row.committed_at,
            subject=row.subject,
            touches=row.touches,
            files_changed=row.files_changed,
            selection=row.selection,
            interpreters=made[row.branch, row.sha],
        )
        for row in rows
    ]
