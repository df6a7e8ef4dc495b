"""Builds rows of the results database for tests, with defaults for what a test does not care about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import (
    PLACES_PER_COMMIT,
    ArtifactRow,
    Base,
    Branch,
    BranchCommit,
    Commit,
    InterpreterRow,
    ProjectRow,
    RunRow,
    Track,
)
from pybots_worker.contract import LocalInterpreter, PypiSource, ReportFormat, RunSpecification

AnyRow = TypeVar("AnyRow", bound=Base)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Rows:
    """Adds rows to a session. What exists by its natural key is returned, not added twice."""

    def __init__(self, session: Session, now: datetime = NOW) -> None:
        self.session = session
        self.now = now

    def branch(self, name: str = "main", **values: Any) -> Branch:
        return self._known(Branch, name=name) or self._add(Branch(name=name, **values))

    def commit(
        self, position: int = 1, branch: Branch | None = None, *, selection: str = "build", **values: Any
    ) -> Commit:
        """The commit at *position* on *branch*."""
        branch = branch or self.branch()
        place = self._known(BranchCommit, branch_id=branch.id, position=position)
        if place is not None:
            return self.session.get_one(Commit, place.commit_id)
        number = branch.id * 1_000_000 + position
        defaults = {
            "sha": f"{number:040x}",
            "parent_sha": f"{number - 1:040x}" if position > 1 else "",
            "author_name": "Ada Löwe",
            "author_email": "ada@example.org",
            "committed_at": self.now + timedelta(minutes=position),
            "subject": f"Change number {position}",
            "touches": "native",
            "files_changed": 1,
        }
        commit = self._add(Commit(**{**defaults, **values}))
        self._add(
            BranchCommit(branch_id=branch.id, position=position, commit_id=commit.id, selection=selection)
        )
        return commit

    def track(
        self, branch: Branch | None = None, variant: str = "default", platform: str = "linux-x86_64-glibc"
    ) -> Track:
        keys = {"branch_id": (branch or self.branch()).id, "variant": variant, "platform": platform}
        return self._known(Track, **keys) or self._add(Track(**keys))

    def artifact(self, digest: str = "a" * 64, **values: Any) -> ArtifactRow:
        defaults = {
            "tree_bytes": 90_000_000,
            "stored_at": self.now,
        }
        known = self._known(ArtifactRow, digest=digest)
        return known or self._add(ArtifactRow(digest=digest, **{**defaults, **values}))

    def interpreter(self, position: int = 1, track: Track | None = None, **values: Any) -> InterpreterRow:
        """The proven interpreter of the commit at *position* on *track*."""
        track = track or self.track()
        commit = self.commit(position, self.session.get_one(Branch, track.branch_id))
        known = self._known(InterpreterRow, track_id=track.id, commit_id=commit.id)
        if known is not None:
            return known
        defaults = {
            "key": f"interpreter-{track.id}-{commit.sha}",
            "state": "finished",
            "status": "proven",
            "wanted_at": self.now,
            "finished_at": self.now,
            "seconds": 60.0,
            "worker": "worker-1",
        }
        if "artifact_id" not in values:
            values["artifact_id"] = self.artifact(f"{track.id * 1_000_000 + position:064x}").id
        keys = {"track_id": track.id, "commit_id": commit.id, "position": position}
        return self._add(InterpreterRow(**{**defaults, **keys, **values}))

    def project(self, name: str = "attrs", **values: Any) -> ProjectRow:
        return self._known(ProjectRow, name=name) or self._add(ProjectRow(name=name, **values))

    def run(
        self,
        position: int = 1,
        project: ProjectRow | None = None,
        track: Track | None = None,
        *,
        report: ReportFormat = ReportFormat.JUNIT,
        again: int = 0,
        **values: Any,
    ) -> RunRow:
        """A subject run that is under way, on the interpreter at *position*, for the n-th time."""
        project, track = project or self.project(), track or self.track()
        place = position * PLACES_PER_COMMIT + again
        key = f"{project.name}-{track.id}-{place}"
        defaults = {
            "key": key,
            "interpreter_id": self.interpreter(position, track).id,
            "place": place,
            "role": "subject",
            "state": "running",
            "wanted_at": self.now,
            "started_at": self.now,
        }
        run = {**defaults, **values}
        run.setdefault("specification", specification(run["key"], project.name, report).model_dump_json())
        return self._add(RunRow(project_id=project.id, track_id=track.id, **run))

    def _known(self, table: type[AnyRow], **keys: Any) -> AnyRow | None:
        return self.session.scalar(select(table).filter_by(**keys))

    def _add(self, row: AnyRow) -> AnyRow:
        self.session.add(row)
        self.session.flush()
        return row


def specification(
    key: str, project: str = "attrs", report: ReportFormat = ReportFormat.JUNIT
) -> RunSpecification:
    """The smallest run specification there is."""
    return RunSpecification(
        key=key,
        project=project,
        source=PypiSource(name=project),
        interpreter=LocalInterpreter(path="/usr/bin/python3"),
        command=["{python}", "-m", "pytest"],
        report=report,
    )
