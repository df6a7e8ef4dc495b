"""`pybots demo` with its real processes, over the miniature trunk and two tiny projects."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from miniprojects import FAILS, PASSES

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]

# Only what the machine has and which recipes come along is another matter than in `make demo`.
DEMO = """
import sys
from pathlib import Path
from pybots.commands.demonstration import carry_out, farm_folder
recipes = Path(sys.argv.pop(1))
farm_folder.shipped_recipes = lambda: sorted(recipes.glob("*.toml"))
farm_toml = farm_folder.farm_toml
farm_folder.farm_toml = lambda **facts: f'{farm_toml(**facts)}[registry]\\nsources = ["{recipes.parent}"]\\n'
carry_out.make_fit = lambda say, install: []
from pybots.commands.demo import demo
demo()
"""


class Place:
    """A folder with recipes in it, and the demonstration that is run there."""

    def __init__(self, folder: Path, trunk: Path) -> None:
        self.folder = folder
        self.trunk = trunk
        self.recipes = folder / "recipes"
        self.recipes.mkdir()
        self.log = folder / "log"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", DEMO, str(self.recipes), "--dir", "farm", "--git", str(self.trunk)]
        with self.log.open("wb") as log:
            return subprocess.Popen([*command, *arguments], cwd=self.folder, stdout=log, stderr=log)

    def wait_for(self, text: str, seconds: float = 300) -> None:
        self.wait(lambda: text in self.log.read_text(), text, seconds)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"in vain for {what}:\n{self.log.read_text()}"
            time.sleep(0.1)

    def processes(self) -> list[str]:
        """Whatever runs and has to do with this folder."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join([*process.cmdline(), process.cwd()])
            except (psutil.Error, OSError):
                continue
            if str(self.folder) in words and process.pid != os.getpid():
                found.append(words)
        return found

    def page(self) -> str:
        [line] = [line for line in self.log.read_text().splitlines() if "the page:" in line]
        return line.split()[-1]


def test_the_demonstration_twice(trunk: tuple[Path, list[str]], tmp_path: Path) -> None:
    place = Place(tmp_path, trunk[0])
    for project in (PASSES, FAILS):
        project.write(place.recipes, tmp_path / "sources")

    first = place.start("--once", "--json", "first.json")
    assert first.wait(300) == 0, place.log.read_text()
    place.wait(lambda: not place.processes(), "the first one's processes to end")
    answer = json.loads((tmp_path / "first.json").read_text())
    [head] = answer["heads"]
    assert head["commit"] == trunk[1][-1]
    assert [interpreter["status"] for interpreter in head["interpreters"]] == ["proven"]
    assert {run["project"]: run["status"] for run in head["runs"]} == {
        "passes": "passed",
        "fails": "tests-failed",  # a result like any other: exit status 0
    }
    assert (answer["cost"]["interpreters_built"], answer["cost"]["runs"]) == (1, 2)
    assert answer["cost"]["stages"].keys() == {
        *("machine", "source", "farm"),
        *("interpreter default", "passes", "fails"),
    }

    second = place.start("--json", "second.json")
    place.wait_for("Ctrl-C ends it")
    assert httpx.get(place.page(), timeout=20).status_code == 200
    second.send_signal(signal.SIGINT)
    assert second.wait(60) == 0
    place.wait(lambda: not place.processes(), "the second one's processes to end")
    again = json.loads((tmp_path / "second.json").read_text())
    assert (again["cost"]["interpreters_built"], again["cost"]["runs"]) == (0, 2)
    assert again["heads"][0]["interpreters"] == head["interpreters"]

    third = place.start()
    place.wait_for("farm: serves")
    third.kill()
    third.wait()
    place.wait(lambda: not place.processes(), "the killed one's processes to end")
