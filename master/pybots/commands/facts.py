"""Turns the results database into the JSON object that `pybots demo` and `pybots replay` write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from pybots.commands.facts_incidents import incident_objects
from pybots.database.engine import Sessions
from pybots.database.tables import (
    ArtifactRow,
    Branch,
    BranchCommit,
    Commit,
    InterpreterRow,
    ProjectRow,
    RunRow,
    Track,
)
from pybots.interpreters.plan import TrackName


@dataclass(frozen=True, slots=True)
class InterpreterFact:
    """One interpreter; `status` is empty while it is not finished."""

    key: str
    commit: str
    track: TrackName
    state: str
    status: str
    detail: str
    worker: str
    seconds: float
    artifact: str | None
    began: datetime | None
    """When it was built; None for one that was not (inherited, still waiting)."""
    inherited_from: str | None = None
    """The key of the interpreter whose results hold for this one too."""
    build: int | None = None
    """Buildbot's number of the build that makes it."""


@dataclass(frozen=True, slots=True)
class RunFact:
    """One run; `status` is empty while it is not finished."""

    key: str
    project: str
    commit: str
    track: TrackName
    role: str
    state: str
    status: str
    detail: str
    worker: str
    revision: str
    seconds: float
    wanted_at: datetime
    began: datetime | None
    interpreter: str
    """The interpreter's key."""
    build: int | None
    collected: int
    passed: int
    failed: int
    error: int
    skipped: int
    deselected: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened: commits in the order of their branches, oldest first."""

    commits: tuple[str, ...]
    interpreters: tuple[InterpreterFact, ...]
    runs: tuple[RunFact, ...]
    incidents: tuple[Mapping[str, Any], ...] = ()
    """As they are written."""


def read(sessions: Sessions, since: datetime | None = None) -> Facts:
    """Read the facts; with *since*, only runs wanted from then on; interpreters are there all the same."""
    with sessions.reading() as session:
        runs = (_run(row) for row in _run_rows(session))
        return Facts(
            tuple(_commits(session)),
            tuple(_interpreter(row) for row in _interpreter_rows(session)),
            tuple(run for run in runs if since is None or run.wanted_at >= since),
            tuple(incident_objects(session)),
        )


def gather(
    sessions: Sessions,
    since: datetime | None = None,
    seconds: float = 0.0,
    heads: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the object of the design page's contract; *seconds* is how long all of it took.

    With *since*, runs and costs from before it are left out. *heads* are the commits that were shown; without them
    they are all that an interpreter was wanted for.
    """
    return as_object(read(sessions, since), since, seconds, heads)


def as_object(
    facts: Facts,
    since: datetime | None = None,
    seconds: float = 0.0,
    heads: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Put *facts* into the shape of the design page's contract."""
    built = [i for i in facts.interpreters if i.began is not None and (since is None or i.began >= since)]
    return {
        "heads": [_head(commit, facts) for commit in (facts.commits if heads is None else heads)],
        "incidents": [dict(incident) for incident in facts.incidents],
        "notices": [],
        "cost": {"interpreters_built": len(built), "runs": len(facts.runs), "seconds": round(seconds, 1)},
    }


def _head(commit: str, facts: Facts) -> dict[str, Any]:
    return {
        "commit": commit,
        "interpreters": [_interpreter_object(i) for i in facts.interpreters if i.commit == commit],
        "runs": [_run_object(run) for run in facts.runs if run.commit == commit],
    }


def _interpreter_object(fact: InterpreterFact) -> dict[str, Any]:
    return {
        "variant": fact.track.variant,
        "platform": fact.track.platform,
        "status": fact.status,
        "seconds": round(fact.seconds, 1),
        "artifact": fact.artifact,
    }


def _run_object(fact: RunFact) -> dict[str, Any]:
    counts = ("collected", "passed", "failed", "error", "skipped", "deselected")
    return {
        "project": fact.project,
        "revision": fact.revision,
        "track": str(fact.track),
        "role": fact.role,
        "worker": fact.worker,
        "status": fact.status,
        "seconds": round(fact.seconds, 1),
        "counts": {name: getattr(fact, name) for name in counts},
    }


def _commits(session: Session) -> Iterable[str]:
    """Every commit that an interpreter was wanted for, once."""
    rows = session.scalars(
        select(Commit.sha)
        .join(BranchCommit, BranchCommit.commit_id == Commit.id)
        .where(Commit.id.in_(select(InterpreterRow.commit_id)))
        .order_by(BranchCommit.branch_id, BranchCommit.position)
    )
    return dict.fromkeys(rows)


def _interpreter_rows(session: Session) -> Sequence[Any]:
    ancestors = aliased(InterpreterRow)
    track = (Branch.name, Track.variant, Track.platform)
    return session.execute(
        select(InterpreterRow, Commit.sha, *track, ArtifactRow.digest, ancestors.key)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .join(Track, Track.id == InterpreterRow.track_id)
        .join(Branch, Branch.id == Track.branch_id)
        .outerjoin(ArtifactRow, ArtifactRow.id == InterpreterRow.artifact_id)
        .outerjoin(ancestors, ancestors.id == InterpreterRow.inherited_from_id)
        .order_by(InterpreterRow.position, InterpreterRow.id)
    ).all()


def _interpreter(row: Any) -> InterpreterFact:
    interpreter, sha, branch, variant, platform, digest, ancestor = row
    return InterpreterFact(
        key=interpreter.key,
        commit=sha,
        track=TrackName(branch, variant, platform),
        state=interpreter.state,
        status=interpreter.status,
        detail=interpreter.detail,
        worker=interpreter.worker,
        seconds=interpreter.seconds,
        artifact=digest,
        began=interpreter.started_at,
        inherited_from=ancestor,
        build=interpreter.buildbot_build,
    )


def _run_rows(session: Session) -> Sequence[Any]:
    track = (Branch.name, Track.variant, Track.platform)
    return session.execute(
        select(RunRow, Commit.sha, *track, ProjectRow.name, InterpreterRow.key)
        .join(InterpreterRow, InterpreterRow.id == RunRow.interpreter_id)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .join(Track, Track.id == RunRow.track_id)
        .join(Branch, Branch.id == Track.branch_id)
        .join(ProjectRow, ProjectRow.id == RunRow.project_id)
        .order_by(RunRow.place, ProjectRow.name, RunRow.id)
    ).all()


def _run(row: Any) -> RunFact:
    run, sha, branch, variant, platform, project, interpreter = row
    return RunFact(
        key=run.key,
        project=project,
        commit=sha,
        track=TrackName(branch, variant, platform),
        role=run.role,
        state=run.state,
        status=run.status,
        detail=run.detail,
        worker=run.worker,
        revision=run.revision,
        seconds=run.seconds,
        wanted_at=run.wanted_at,
        began=run.started_at,
        interpreter=interpreter,
        build=run.buildbot_build,
        collected=run.collected,
        passed=run.passed,
        failed=run.failed,
        error=run.error,
        skipped=run.skipped,
        deselected=run.deselected,
    )
