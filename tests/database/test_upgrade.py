"""A database that a release filled, brought up to date: nothing is lost, and the code of today reads it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, DateTime, Engine, LargeBinary, MetaData, insert, select, text

from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate
from pybots.database.tables import Base, ProjectRow, RunRow
from pybots.database.types import UtcDateTime
from pybots.results.outcome import Outcome, Report, TestResult
from pybots.results.store import ReceivedRun, failures_of_run, history, ingest, outcomes_at
from pybots.runs.status import RunStatus
from pybots.site.application import make_application
from pybots_worker.contract import Ending, RunResult, RunSpecification
from rows import Rows, specification

RELEASES = sorted(Path(__file__).parent.glob("release_*.json"))
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


def load(connection: Connection, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Insert the rows of a release into the tables as the release had them."""
    there = MetaData()
    there.reflect(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET session_replication_role = replica"))  # references may lead ahead
    else:
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))
    for name, rows in tables.items():
        table = there.tables[name]
        connection.execute(insert(table), [{key: value(table, key, row[key]) for key in row} for row in rows])
        if connection.dialect.name == "postgresql" and "id" in table.c:
            counted = f"pg_get_serial_sequence('{name}', 'id')"
            connection.execute(text(f"SELECT setval({counted}, (SELECT max(id) FROM {name}))"))


def value(table: Any, column: str, stored: Any) -> Any:
    kind = table.c[column].type
    if isinstance(stored, str) and isinstance(kind, DateTime | UtcDateTime):
        return datetime.fromisoformat(stored)
    if isinstance(stored, dict) and isinstance(kind, LargeBinary):
        return base64.b64decode(stored["base64"])
    return stored


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.stem)
def released(request: pytest.FixtureRequest) -> Any:
    return request.param.stem.removeprefix("release_"), json.loads(request.param.read_text())


@pytest.fixture
def upgraded(databases: Any, released: Any) -> Iterator[Engine]:
    revision, tables = released
    engine = open_engine(databases.empty())
    migrate(engine, to=revision)
    with engine.begin() as connection:
        load(connection, tables)
    engine.dispose()
    migrate(engine)
    yield engine
    engine.dispose()


def test_every_table_of_a_release_has_rows(released: Any) -> None:
    _revision, tables = released
    assert {name for name, rows in tables.items() if not rows} == set()


def test_everything_is_still_there(upgraded: Engine, released: Any) -> None:
    _revision, tables = released
    with upgraded.connect() as connection:
        for name, rows in tables.items():
            table = Base.metadata.tables[name]
            kept = [key for key in rows[0] if key in table.c]
            found = {tuple(row) for row in connection.execute(select(*(table.c[key] for key in kept)))}
            assert found == {tuple(value(table, key, row[key]) for key in kept) for row in rows}, name


def test_its_pages_answer(upgraded: Engine, released: Any) -> None:
    _revision, tables = released
    keys = [row["key"] for row in tables["runs"]]
    addresses = [
        "/",
        "/queue",
        "/commits",
        "/workers",
        "/api/status",
        "/api/projects",
        "/api/runs",
        "/project/wide",
    ]
    addresses += [f"/run/{key}" for key in keys] + [f"/api/runs/{key}" for key in keys[-5:]]
    addresses += [f"/interpreter/{row['key']}" for row in tables["interpreters"][:5]]
    application = make_application(Sessions(upgraded), lambda: NOW, "Pybots")

    async def statuses() -> dict[str, int]:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            return {address: (await client.get(address)).status_code for address in addresses}

    answers = asyncio.run(statuses())
    assert {address: status for address, status in answers.items() if status != 200} == {}


def test_its_runs_are_read_and_their_specifications_understood(upgraded: Engine) -> None:
    with Sessions(upgraded).reading() as session:
        wide = session.scalars(select(ProjectRow).where(ProjectRow.name == "wide")).one()
        runs = session.scalars(
            select(RunRow).where(RunRow.project_id == wide.id).order_by(RunRow.place)
        ).all()
        for run in runs:
            RunSpecification.model_validate_json(run.specification)
        failed = failures_of_run(session, runs[1].id)
        assert [(test.exception, test.message) for test in failed] == [("ValueError", "bad value 1")] * 6
        spans = history(session, failed[0].test_id, runs[1].track_id)
        assert [span.outcome for span in spans[:3]] == [Outcome.PASSED, Outcome.FAILED, Outcome.PASSED]


def test_the_next_run_is_saved_beside_them(upgraded: Engine) -> None:
    sessions = Sessions(upgraded)
    with sessions.writing() as session:
        wide = session.scalars(select(ProjectRow).where(ProjectRow.name == "wide")).one()
        last = session.scalars(
            select(RunRow).where(RunRow.project_id == wide.id).order_by(RunRow.place.desc()).limit(1)
        ).one()
        Rows(session, NOW - timedelta(minutes=1))._add(
            RunRow(
                key="wide-next",
                project_id=wide.id,
                track_id=last.track_id,
                interpreter_id=last.interpreter_id,
                place=last.place + 1,
                role="subject",
                state="running",
                specification=specification("wide-next", "wide").model_dump_json(),
                wanted_at=NOW,
            )
        )
        project, track, place = wide.id, last.track_id, last.place + 1
    passed = Report(
        {
            "tests/test_wide.py::test_number[0]": TestResult(
                "tests/test_wide.py::test_number[0]", Outcome.PASSED
            )
        }
    )
    result = RunResult(
        key="wide-next", ending=Ending.EXITED, exit_status=0, phases=[], seconds=1, report_present=True
    )
    status = ingest(sessions, "wide-next", ReceivedRun(result, passed, b"", "one"), NOW)
    assert status is RunStatus.PASSED
    with sessions.reading() as session:
        found = {name: outcome for name, outcome, _ in outcomes_at(session, project, track, place)}
    assert found.pop("tests/test_wide.py::test_number[0]") is Outcome.PASSED
    assert set(found.values()) == {Outcome.ABSENT}
