"""`pybots backup` and `pybots restore`: what they refuse, and what they leave behind then."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pybots.commands.main import main
from pybots.commands.new_farm import Choices, make_farm
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate
from rows import Rows


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    folder = tmp_path / "farm"
    make_farm(folder, Choices("https://example.org/cpython.git", ["main"], 1, "linux-x86_64-glibc", False))
    engine = open_engine(f"sqlite:///{folder}/results.sqlite")
    migrate(engine)
    with Sessions(engine).writing() as session:
        Rows(session).run(1)
    engine.dispose()
    with closing(sqlite3.connect(folder / "master" / "state.sqlite")) as connection:
        connection.execute("CREATE TABLE builds (id INTEGER)")
    return folder


@pytest.fixture
def backup(farm: Path, tmp_path: Path) -> Path:
    taken = run("backup", farm, "--to", tmp_path / "one.pybots")
    assert taken.exit_code == 0, taken.output
    return tmp_path / "one.pybots"


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_people_wrote_comes_back_as_it_was(farm: Path, backup: Path, tmp_path: Path) -> None:
    assert run("restore", backup, tmp_path / "new").exit_code == 0
    written = [
        path.relative_to(farm) for path in farm.rglob("*") if path.is_file() and path.suffix != ".sqlite"
    ]
    for path in written:
        if not path.name.endswith(("-wal", "-shm")):
            assert (tmp_path / "new" / path).read_bytes() == (farm / path).read_bytes(), path
            assert (tmp_path / "new" / path).stat().st_mode == (farm / path).stat().st_mode, path
    assert left(tmp_path) == {"farm", "one.pybots", "new"}


def test_nothing_is_written_over(farm: Path, backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    again = run("backup", farm, "--to", backup)
    assert again.exit_code == 1
    assert "exists: a backup is a new file" in again.output
    over = run("restore", backup, farm)
    assert over.exit_code == 1
    assert "is not empty" in over.output
    database = run("restore", backup, tmp_path / "new", "--results", f"sqlite:///{farm}/results.sqlite")
    assert database.exit_code == 1
    assert backup.read_bytes() == before
    assert left(tmp_path) == {"farm", "one.pybots"}


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_file_that_is_no_whole_backup_restores_nothing(backup: Path, tmp_path: Path, damage: str) -> None:
    whole = backup.read_bytes()
    backup.write_bytes({"cut": whole[: len(whole) // 2], "other": b"x" * 9_000, "empty": b""}[damage])
    answer = run("restore", backup, tmp_path / "new")
    assert answer.exit_code == 1
    assert "no backup of a farm, or not a whole one" in answer.output
    assert left(tmp_path) == {"farm", "one.pybots"}


def test_a_database_that_is_not_there_is_named(farm: Path, tmp_path: Path) -> None:
    (farm / "master" / "state.sqlite").unlink()
    answer = run("backup", farm, "--to", tmp_path / "one.pybots")
    assert answer.exit_code == 1
    assert "there is no database at" in answer.output
    assert left(tmp_path) == {"farm"}


def test_a_damaged_database_is_not_taken_for_a_backup(farm: Path, tmp_path: Path) -> None:
    path = farm / "results.sqlite"
    content = bytearray(path.read_bytes())
    content[8_192:16_384] = b"\xff" * 8_192
    path.write_bytes(content)
    answer = run("backup", farm, "--to", tmp_path / "one.pybots")
    assert answer.exit_code == 1
    assert left(tmp_path) == {"farm"}


def test_facts_as_json(farm: Path, tmp_path: Path) -> None:
    taken = CliRunner().invoke(main, ["backup", str(farm), "--to", str(tmp_path / "a"), "--json"])
    facts = json.loads(taken.stdout)
    assert facts["databases"] == {
        "results": "sqlite:///results.sqlite",
        "buildbot": "sqlite:///master/state.sqlite",
    }
    made = CliRunner().invoke(main, ["restore", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    assert json.loads(made.stdout)["missing"] == 1


def test_help_teaches_and_bad_use_is_2(tmp_path: Path) -> None:
    assert "pybots restore backups/" in run("backup", "--help").output
    assert "Nothing is written over" in run("restore", "--help").output
    assert run("backup", tmp_path).exit_code == 2
    assert run("restore", tmp_path / "none", tmp_path / "new").exit_code == 2
