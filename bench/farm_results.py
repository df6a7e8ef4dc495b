"""Ours in `bench.results`: runs of one project on one track, taken in as the farm's own step does it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import zstandard
from sqlalchemy import text
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import (
    PLACES_PER_COMMIT,
    Base,
    Branch,
    BranchCommit,
    Commit,
    InterpreterRow,
    ProjectRow,
    RunRow,
    Track,
)
from pybots.results.store_received import ingest_folder
from pybots.runs.status import RunStatus
from pybots_worker.contract import (
    LOG_FILE,
    REPORT_FILE,
    RESULT_FILE,
    Ending,
    LocalInterpreter,
    PypiSource,
    ReportFormat,
    RunResult,
    RunSpecification,
)

Row = TypeVar("Row", bound=Base)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LOG = zstandard.compress(b"2 passed in 0.01 s\n" * 100)


@dataclass
class FarmResults:
    """A results database, an empty one at *url* or else in *folder*, in which every run comes after the one before."""

    folder: Path
    url: str = ""
    _runs: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        engine = open_engine(self.url or f"sqlite:///{self.folder / 'results.sqlite'}")
        Base.metadata.create_all(engine)
        self.sessions = Sessions(engine)
        with self.sessions.writing() as session:
            branch = _added(session, Branch(name="main"))
            track = _added(session, Track(branch_id=branch.id, variant="default", platform="linux"))
            self._branch, self._track = branch.id, track.id
        self.begin_project("bench")

    @property
    def runs(self) -> int:
        """How many were planned."""
        return self._runs

    def begin_project(self, name: str) -> None:
        """Plan what comes from here on for a new project."""
        with self.sessions.writing() as session:
            self._project = _added(session, ProjectRow(name=name)).id

    def prepare(self, reports: Sequence[bytes]) -> list[tuple[str, Path]]:
        """Plan one run for each of *reports*, and lay out what its worker would send; return keys and folders."""
        return [self._prepare(report) for report in reports]

    def take_in(self, prepared: Sequence[tuple[str, Path]]) -> None:
        """Parse, compare, store and commit each of *prepared*: this is what is measured."""
        for key, incoming in prepared:
            status = ingest_folder(self.sessions, key, ReportFormat.JUNIT, incoming, "worker", NOW)
            assert status in {RunStatus.PASSED, RunStatus.TESTS_FAILED}, status

    def clear(self, prepared: Sequence[tuple[str, Path]]) -> None:
        """Delete what was laid out."""
        for _, incoming in prepared:
            shutil.rmtree(incoming)

    def size(self) -> int:
        """Return how many bytes the database's used pages have, the write-ahead log written back."""
        with self.sessions.engine.connect() as connection:
            connection.commit()
            connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages, free, size = (
                connection.scalar(text(f"PRAGMA {name}")) or 0
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _prepare(self, report: bytes) -> tuple[str, Path]:
        self._runs += 1
        key = f"bench~{self._runs}"
        with self.sessions.writing() as session:
            self._plan(session, key, self._runs)
        incoming = self.folder / "incoming" / str(self._runs)
        incoming.mkdir(parents=True)
        (incoming / REPORT_FILE).write_bytes(report)
        (incoming / LOG_FILE).write_bytes(LOG)
        (incoming / RESULT_FILE).write_text(_result(key, failed=b"<failure" in report).model_dump_json())
        return key, incoming

    def _plan(self, session: Session, key: str, position: int) -> None:
        commit = _added(
            session,
            Commit(
                sha=f"{position:040x}",
                author_name="Ada",
                author_email="ada@example.org",
                committed_at=NOW,
                subject="A change",
                touches="native",
                files_changed=1,
            ),
        )
        place = {"branch_id": self._branch, "position": position, "commit_id": commit.id}
        session.add(BranchCommit(**place, selection="build"))
        interpreter = _added(
            session,
            InterpreterRow(
                key=f"interpreter~{position}",
                track_id=self._track,
                commit_id=commit.id,
                position=position,
                state="finished",
                status="proven",
                wanted_at=NOW,
            ),
        )
        session.add(
            RunRow(
                key=key,
                project_id=self._project,
                track_id=self._track,
                interpreter_id=interpreter.id,
                place=position * PLACES_PER_COMMIT,
                role="subject",
                state="running",
                wanted_at=NOW,
                started_at=NOW,
                specification=_specification(key).model_dump_json(),
            )
        )


def _added(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row


def _specification(key: str) -> RunSpecification:
    return RunSpecification(
        key=key,
        project="bench",
        source=PypiSource(name="bench"),
        interpreter=LocalInterpreter(path="/usr/bin/python3"),
        command=["{python}", "-m", "pytest", "--junit-xml={report}"],
        report=ReportFormat.JUNIT,
    )


def _result(key: str, *, failed: bool) -> RunResult:
    return RunResult(
        key=key,
        ending=Ending.EXITED,
        exit_status=1 if failed else 0,
        revision="1.0",
        phases=[],
        seconds=60,
        suite_seconds=50,
        report_present=True,
    )
