from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybots.config.last_good import SNAPSHOT, load, remember
from pybots.config.problems import ConfigurationError

THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 12, tzinfo=UTC)
FARM = """\
[farm]
name = "{name}"
[trunk]
git = "../cpython"
[[worker]]
name = "alpha"
platform = "linux-x86_64-glibc"
interpreters = true
password_file = "alpha"
"""
BROKEN = FARM.replace("[farm]", "[frm]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "First")
    (tmp_path / "alpha").write_text("hush")
    (tmp_path / "alpha").chmod(0o600)
    return tmp_path


def write(folder: Path, name: str, text: str = FARM) -> None:
    (folder / "farm.toml").write_text(text.format(name=name))


def test_a_good_one_is_used_as_it_stands(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    write(folder, "Second")
    loaded = load(folder)
    assert (loaded.configuration.farm.name, loaded.from_last_good, loaded.problems) == ("Second", False, ())


@pytest.mark.parametrize("text", [BROKEN, "not toml", FARM.replace("alpha", "beta")])
def test_a_broken_one_falls_back_and_says_why(folder: Path, text: str) -> None:
    remember(folder, load(folder), THEN)
    write(folder, "Second", text)
    loaded = load(folder)
    assert loaded.configuration.farm.name == "First"
    assert loaded.from_last_good
    assert loaded.good_since == THEN
    assert loaded.problems[0].file == "farm.toml"


def test_a_cold_start_in_another_process_falls_back_too(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    (folder / "farm.toml").unlink()
    program = (
        "import sys, pathlib; from pybots.config.last_good import load\n"
        "print(load(pathlib.Path(sys.argv[1])).configuration.farm.name)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout == "First\n"


def test_with_neither_every_problem_is_raised(folder: Path) -> None:
    write(folder, "x", BROKEN)
    with pytest.raises(ConfigurationError, match="unknown key `frm`"):
        load(folder)


def test_what_was_never_remembered_is_not_fallen_back_on(folder: Path) -> None:
    load(folder)
    write(folder, "x", BROKEN)
    with pytest.raises(ConfigurationError):
        load(folder)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', "\0"])
def test_a_broken_snapshot_is_one_more_problem(folder: Path, content: str) -> None:
    (folder / SNAPSHOT).parent.mkdir()
    (folder / SNAPSHOT).write_text(content)
    assert load(folder).configuration.farm.name == "First"
    write(folder, "x", BROKEN)
    with pytest.raises(ConfigurationError, match="the last good configuration cannot be used"):
        load(folder)


def test_a_broken_snapshot_is_replaced_by_the_next_good_one(folder: Path) -> None:
    (folder / SNAPSHOT).parent.mkdir()
    (folder / SNAPSHOT).write_text("{")
    remember(folder, load(folder), THEN)
    write(folder, "x", BROKEN)
    assert load(folder).configuration.farm.name == "First"


def test_a_last_good_one_whose_password_is_gone_is_not_good(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    write(folder, "x", BROKEN)
    (folder / "alpha").unlink()
    with pytest.raises(ConfigurationError, match=r"farm\.json: password file of 'alpha'"):
        load(folder)


def test_since_is_when_this_configuration_was_first_accepted(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    remember(folder, load(folder), LATER)
    broken = load(folder)
    write(folder, "x", BROKEN)
    assert load(folder).good_since == THEN
    remember(folder, load(folder), LATER)
    assert load(folder).good_since == THEN
    write(folder, "Second")
    remember(folder, load(folder), LATER)
    write(folder, "x", BROKEN)
    assert load(folder).good_since == LATER
    assert broken.configuration.farm.name == "First"


def test_the_snapshot_holds_no_password(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    for path in (folder / SNAPSHOT).parent.iterdir():
        assert "hush" not in path.read_text()


def test_killed_between_write_and_rename_leaves_the_old_snapshot(folder: Path) -> None:
    remember(folder, load(folder), THEN)
    write(folder, "Second")
    program = (
        "import os, signal, sys, pathlib; from pybots.config.last_good import load, remember\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder = pathlib.Path(sys.argv[1]); remember(folder, load(folder))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(folder)], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list((folder / SNAPSHOT).parent.iterdir())) == 2, "the new one had been written beside it"
    write(folder, "x", BROKEN)
    assert load(folder).configuration.farm.name == "First"


def test_a_full_disk_leaves_the_old_snapshot_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(folder, load(folder), THEN)
    write(folder, "Second")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        remember(folder, load(folder))
    assert [path.name for path in (folder / SNAPSHOT).parent.iterdir()] == [SNAPSHOT.name]
