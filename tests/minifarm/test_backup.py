"""A farm on either kind of database: a backup taken while everything writes, and the farm that comes out of it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

import postgresql
from minifarm import MiniFarm
from pybots.commands.main import main
from pybots.commands.master_process import start_master, stop_master
from pybots.config.folder import FarmFolder
from pybots.database.engine import Sessions
from pybots.database.tables import ArtifactRow, Heartbeat, Request, RunRow
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.site.read_folder import read_folder
from rows import Rows

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(300)]

# Writes pairs for ever, each in one transaction: a copy that holds one of a pair is not of one moment.
WRITER = """
import sys, datetime
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Request
sessions = Sessions(open_engine(sys.argv[1]))
number = 0
while True:
    with sessions.writing() as session:
        for half in ("left", "right"):
            session.add(Request(kind=half, subject=str(number), requested_at=datetime.datetime.now(datetime.UTC),
                                applied_at=datetime.datetime.now(datetime.UTC)))
            session.flush()
    number += 1
    if number == 20:
        print("writing", flush=True)
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def results_of(root: Path) -> Sessions:
    return read_folder(root).sessions()


@pytest.fixture
def farm(
    databases: Any, trunk: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MiniFarm:
    """A farm that was never started."""
    made = MiniFarm(tmp_path, trunk[0])
    if databases.kind == "postgresql":
        monkeypatch.setenv("PATH", str(postgresql.programs()), prepend=":")
        made.write_configuration(
            f'database.results = "{databases.empty()}"\ndatabase.buildbot = "{databases.empty()}"'
        )
    return made


@pytest.fixture
def elsewhere(databases: Any) -> Callable[[], list[str]]:
    """Options that name new databases where the farm's are not in its folder."""
    if databases.kind == "sqlite":
        return list
    return lambda: ["--results", databases.empty(), "--buildbot", databases.empty()]


@pytest.fixture
def started(farm: MiniFarm) -> Iterator[MiniFarm]:
    start_master(farm.root, timeout=90)
    yield farm
    stop_master(farm.root)


def populate(root: Path) -> None:
    with results_of(root).writing() as session:
        rows = Rows(session)
        rows.run(1, state="finished", status="passed")
        held = rows.interpreter(1)
        assert held.artifact_id
    digest = "a" * 64
    with results_of(root).writing() as session:
        Rows(session).artifact(digest)
    manifest = ArtifactStore(FarmFolder(root).store).manifest_path(digest)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_bytes(b"a manifest")


def test_taken_while_everything_writes_it_restores_and_starts(
    started: MiniFarm, tmp_path: Path, elsewhere: Callable[[], list[str]]
) -> None:
    populate(started.root)
    (started.recipes / "one.toml").write_text("# a recipe")
    address = results_of(started.root).engine.url.render_as_string(hide_password=False)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, address], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        taken = run("backup", started.root, "--to", tmp_path / "farm.pybots", "--json")
        assert taken.exit_code == 0, taken.output
        assert writer.poll() is None, "the writer failed"
    finally:
        writer.kill()
        writer.wait()
    stop_master(started.root)
    assert json.loads(taken.stdout)["artifacts"] == ["a" * 64]
    assert stat.S_IMODE((tmp_path / "farm.pybots").stat().st_mode) == 0o600

    root = tmp_path / "restored"
    store = FarmFolder(started.root).store
    options = ["--store", store, *elsewhere(), "--json"]
    restored = run("restore", tmp_path / "farm.pybots", root, *options)
    assert restored.exit_code == 0, restored.output
    assert (root / "projects" / "one.toml").read_text() == "# a recipe"
    with results_of(root).reading() as session:
        pairs = dict(session.execute(select(Request.kind, func.count()).group_by(Request.kind)).all())
        assert pairs["left"] == pairs["right"] >= 20
        assert session.scalar(select(func.count()).select_from(RunRow)) == 1
        there = session.execute(select(ArtifactRow.digest, ArtifactRow.removed_at)).all()
        assert {digest for digest, removed in there if removed is None} == {"a" * 64}
        before = session.get_one(Heartbeat, "master").at
    (root / "projects" / "one.toml").unlink()
    start_master(root, timeout=90)
    try:
        wait_for(lambda: heard_after(root, before))
    finally:
        stop_master(root)


def heard_after(root: Path, before: Any) -> bool:
    with results_of(root).reading() as session:
        return bool(session.get_one(Heartbeat, "master").at > before)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
