"""The demonstration's folder, and its processes, which must not outlive it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from pybots.commands.demo import demo
from pybots.commands.demonstration.children import Child, ChildEndedError, stop_all
from pybots.commands.demonstration.farm_folder import (
    FolderError,
    Ports,
    choose_ports,
    copy_recipes,
    farm_toml,
    ports_before,
    recipes_for,
    write_farm,
)
from pybots.config.read import read_farm

PORTS = Ports(workers=19989, operators=18010, store=18020, site=18080)


def write(folder: Path, ports: Ports = PORTS, variants: tuple[str, ...] = ("default",)) -> None:
    write_farm(
        folder,
        git='/srv/a "quoted" path/cpython.git',
        branch="main",
        variants=variants,
        platform="linux-x86_64-glibc",
        ports=ports,
    )


def test_what_is_written_is_a_farm(tmp_path: Path) -> None:
    write(tmp_path, variants=("default", "debug"))
    configuration = read_farm(tmp_path)
    assert configuration.trunk.git == '/srv/a "quoted" path/cpython.git'
    assert configuration.variants == {"default": [], "debug": ["--with-pydebug"]}
    assert [(w.name, w.interpreters) for w in configuration.worker] == [("one", True), ("two", False)]
    password = tmp_path / configuration.worker[0].password_file
    assert password.stat().st_mode & 0o777 == 0o600
    assert len(password.read_text().strip()) >= 32


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    write(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_ports_of_an_earlier_time_are_kept_where_they_are_free(tmp_path: Path) -> None:
    first = choose_ports({})
    write(tmp_path, first)
    before = ports_before(tmp_path)
    assert choose_ports(before) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.store))
        other.listen(1)
        second = choose_ports(before)
    assert (second.workers, second.operators, second.site) == (first.workers, first.operators, first.site)
    assert second.store != first.store
    assert len({second.workers, second.operators, second.store, second.site}) == 4


@pytest.mark.parametrize("text", ["", "[broken", "[master]\n", '[site]\nport = "x"\n', "site = 3\n"])
def test_a_farm_toml_without_ports_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "farm.toml").write_text(text)
    assert ports_before(tmp_path) == {}


def test_recipes_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in ("attrs", "click", "django"):
        (shipped / f"{name}.toml").write_text(f"# {name}\n")
    monkeypatch.setattr(
        "pybots.commands.demonstration.farm_folder.shipped_recipes", lambda: sorted(shipped.glob("*.toml"))
    )
    farm = tmp_path / "farm"
    copy_recipes(farm, recipes_for(()))
    assert sorted(file.stem for file in (farm / "projects").iterdir()) == ["attrs", "click", "django"]
    copy_recipes(farm, recipes_for(("django", "attrs", "django")))
    assert sorted(file.stem for file in (farm / "projects").iterdir()) == ["attrs", "django"]
    with pytest.raises(FolderError, match="no recipe is called 'numpy'; there are attrs, click, django"):
        recipes_for(("numpy",))


def test_farm_toml_has_one_line_for_each_variant() -> None:
    text = farm_toml(git="x", branch="main", variants=("default",), platform="p", ports=PORTS)
    assert '"default" = []' in text
    assert "debug" not in text


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# A program that has a child which left its session, as a suite under test may.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("pids.new", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
time.sleep(600)
"""


def pids(folder: Path) -> list[int]:
    wait_until((folder / "pids").exists, "the family never came up")
    return [int(word) for word in (folder / "pids").read_text().split()]


def gone(numbers: list[int]) -> bool:
    def ended(number: int) -> bool:
        try:
            return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return all(ended(number) for number in numbers)


def test_nothing_of_a_child_is_left(tmp_path: Path) -> None:
    child = Child("family", [sys.executable, "-c", FAMILY], tmp_path, tmp_path / "family.log")
    try:
        family = pids(tmp_path)
        child.check()
    finally:
        stop_all([child])
    assert gone(family)


def test_a_child_that_ends_is_noticed(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "broken.log"
    child = Child("broken", [sys.executable, "-c", "raise SystemExit('the port is taken')"], tmp_path, log)

    wait_until(lambda: "the port is taken" in child.tail(), "it said nothing")
    wait_until(lambda: not child.alive(), "it did not end")
    with pytest.raises(ChildEndedError, match=r"(?s)broken has ended.*the port is taken"):
        child.check()
    child.stop()


STARTER = """
import sys, time
from pathlib import Path
from pybots.commands.demonstration.children import Child
folder = Path(sys.argv[1])
child = Child("family", [sys.executable, "-c", Path(sys.argv[2]).read_text()], folder, folder / "family.log")
time.sleep(600)
"""


def test_a_killed_demonstration_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path), str(script)])
    family = pids(tmp_path)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    wait_until(lambda: gone(family), "it outlived the demonstration")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--project", "no-such-project"], "no recipe is called 'no-such-project'"),
        (["--git", "file:///nonexistent"], "Check --git"),
        (["--cpython", "newest"], "write it like 3.13.5"),
        (["--variant", "fast"], "'fast' is not one of"),
    ],
)
def test_bad_use_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setattr("pybots.commands.demonstration.machine.missing", list)
    monkeypatch.setattr(
        "pybots.commands.demonstration.farm_folder.shipped_recipes", lambda: [tmp_path / "attrs.toml"]
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(demo, ["--once", "--no-install", *arguments])
    assert result.exit_code in {1, 2}
    assert words in result.output
    assert not (tmp_path / "demo-farm" / "farm.toml").exists()


def test_help_teaches() -> None:
    result = CliRunner().invoke(demo, ["--help"])
    assert result.exit_code == 0
    for word in ("--once", "--json", "--dir", "--git", "--cpython", "--project", "--variant", "--no-install"):
        assert word in result.output
    assert "Exit status" in result.output
