"""Real processes: writers go on while a reader reads for long, and while others write."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from pybots.database.engine import LOG_BYTES, Sessions, open_engine
from pybots.database.tables import Condition, Request

WRITERS, EACH = 3, 25
# Reads before it writes, as ingestion does: that is what fails where a transaction is not said to write.
WRITER = f"""
import sys
from datetime import UTC, datetime
from sqlalchemy import func, select
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Condition, Request
sessions = Sessions(open_engine(sys.argv[1]))
for number in range({EACH}):
    with sessions.writing() as session:
        session.scalar(select(func.count()).select_from(Request))
        counter = session.scalars(select(Condition).where(Condition.name == "counter").with_for_update()).one()
        session.add(Request(kind="written", subject=sys.argv[2], requested_at=datetime.now(UTC)))
        counter.text = str(int(counter.text) + 1)
"""
# A page that somebody left open: reads, and does not end its transaction until it is told.
READER = """
import sys
from sqlalchemy import func, select
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Request
with Sessions(open_engine(sys.argv[1])).reading() as session:
    print(session.scalar(select(func.count()).select_from(Request)), flush=True)
    sys.stdin.readline()
    print(session.scalar(select(func.count()).select_from(Request)), flush=True)
"""


@pytest.fixture
def url(sessions: Sessions) -> str:
    from datetime import UTC, datetime

    with sessions.writing() as session:
        session.add(Condition(name="counter", since=datetime.now(UTC), text="0"))
    return sessions.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def reader(url: str) -> Iterator[subprocess.Popen[str]]:
    process = run(READER, url, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    yield process
    process.kill()
    process.wait()


def run(program: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)


def test_writers_do_not_fail_because_a_reader_reads(
    sessions: Sessions, url: str, reader: subprocess.Popen[str]
) -> None:
    writers = [run(WRITER, url, str(number)) for number in range(WRITERS)]
    said = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS, "\n".join(said)
    with sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(Request)) == WRITERS * EACH
        assert session.get_one(Condition, "counter").text == str(WRITERS * EACH), "an update was lost"
    later, problems = reader.communicate("\n", timeout=60)
    assert (problems, reader.returncode) == ("", 0)
    assert int(later) == 0, "a reader sees one state"


def test_a_log_that_a_reader_held_up_is_short_again_after_it(
    sessions: Sessions, url: str, reader: subprocess.Popen[str]
) -> None:
    if sessions.engine.dialect.name != "sqlite":
        return
    log = Path(f"{sessions.engine.url.database}-wal")
    _write(sessions, 500)
    held_up = log.stat().st_size
    reader.communicate("\n", timeout=60)
    for _ in range(3):
        _write(sessions, 20)
    assert held_up > 2 * LOG_BYTES
    assert log.stat().st_size <= LOG_BYTES


def _write(sessions: Sessions, times: int) -> None:
    for _ in range(times):
        with sessions.writing() as session:
            # Another text every time: what stays the same is not written.
            session.execute(text("UPDATE conditions SET text = :text"), {"text": secrets.token_hex(10_000)})


def test_a_writer_that_holds_the_database_makes_others_wait_and_not_fail(url: str) -> None:
    engine = open_engine(url)
    with Sessions(engine).writing() as session:
        session.execute(text("UPDATE conditions SET text = '0'"))
        writer = run(WRITER, url, "waits")
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(3)
    assert writer.communicate(timeout=60)[1] == ""
    assert writer.returncode == 0
    engine.dispose()
