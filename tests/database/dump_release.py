"""Writes what a farm of a release has in its results database, for the tests of later releases' migrations.

Run it in a checkout of the release, on its own code:

    .venv/bin/python tests/database/dump_release.py tests/database/release_0001.json

The file is one JSON object: a list of rows for each table, in an order in which they can be inserted but for
references that lead back; times are ISO 8601, bytes `{"base64": ...}`.
"""

from __future__ import annotations

import base64
import json
import runpy
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pybots.database import conditions
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate
from pybots.database.tables import Base, ProjectRow, Request, RunRow
from pybots.results.outcome import Failure, Outcome, Report, TestResult
from pybots.results.store import ReceivedRun, ingest
from pybots_worker.contract import Ending, Lock, RunResult, lock_digest

TESTS = Path(__file__).parents[1]
SITE_ROWS = runpy.run_path(str(TESTS / "site" / "site_rows.py"))
ROWS = runpy.run_path(str(TESTS / "rows.py"))
SUITE = [f"tests/test_wide.py::test_number[{number}]" for number in range(40)]


def dump(path: Path) -> None:
    """Fill a database as a farm of this version would, and write it to *path*."""
    engine = open_engine("sqlite://")
    migrate(engine)
    sessions = Sessions(engine)
    with sessions.writing() as session:
        SITE_ROWS["fill"](session)
        session.add(Request(kind="run-again", subject="main", requested_at=SITE_ROWS["NOW"]))
        conditions.begin(session, "poll:3.15", "the remote hung up unexpectedly", SITE_ROWS["NOW"])
        rows = SITE_ROWS["SiteRows"](session)
        project = rows.project("wide")
        session.flush()
        proven = session.scalars(
            select(RunRow).where(RunRow.project_id == session.scalar(select(ProjectRow.id).limit(1)))
        ).all()
        keys = _history(session, project, proven)
    for number, key in enumerate(keys):
        ingest(sessions, key, _received(key, number), SITE_ROWS["NOW"] + timedelta(minutes=number))
    with engine.connect() as connection:
        tables = {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in Base.metadata.sorted_tables
        }
    assert all(tables.values()), [name for name, rows in tables.items() if not rows]
    lines = [f'"{name}": [\n' + ",\n".join(map(_json, rows)) + "\n]" for name, rows in tables.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _history(session: Any, project: ProjectRow, others: Any) -> list[str]:
    """Three subject runs and one that was stopped, on the interpreters of another project's runs."""
    keys = []
    track = min(run.track_id for run in others)
    others = sorted((run for run in others if run.track_id == track), key=lambda run: run.place)
    for number, other in enumerate(others[:4]):
        keys.append(f"wide-{number}")
        interpreter = {
            "kind": "stored",
            "digest": "d" * 64,
            "archive_sha256": "e" * 64,
            "url": "http://master/d",
        }
        specification = json.loads(ROWS["specification"](keys[-1], "wide").model_dump_json())
        specification["interpreter"] = interpreter
        session.add(
            RunRow(
                key=keys[-1],
                project_id=project.id,
                track_id=other.track_id,
                interpreter_id=other.interpreter_id,
                place=other.place,
                role="subject",
                state="running",
                specification=json.dumps(specification),
                wanted_at=other.wanted_at,
                started_at=other.started_at,
            )
        )
    return keys


def _received(key: str, number: int) -> ReceivedRun:
    failure = Failure("ValueError", f"bad value {number}", 'File "a.py", line 3, in f\nValueError: bad value')
    results = {
        name: TestResult(name, Outcome.FAILED, 0.1, failure)
        if number in {1, 3} and index % 7 == 0
        else TestResult(name, Outcome.PASSED, 0.1)
        for index, name in enumerate(SUITE)
    }
    lock = Lock(requirements="wide==1.0\n", digest=lock_digest("wide==1.0\n", ""))
    stopped = number == 3
    result = RunResult(
        key=key,
        ending=Ending.WALL_LIMIT if stopped else Ending.EXITED,
        exit_status=None if stopped else int(number == 1),
        revision="1.0",
        lock=lock,
        phases=[],
        seconds=4.0,
        suite_seconds=2.0,
        report_present=True,
    )
    return ReceivedRun(result, Report(results, collected=len(SUITE)), b"", "andromeda-1")


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, default=_encoded, ensure_ascii=False)


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return {"base64": base64.b64encode(value).decode()}


if __name__ == "__main__":
    dump(Path(sys.argv[1]))
