"""The demonstration from its farm's start to its answer; a thread plays the farm on the real results database."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from pybots.commands.demonstration import carry_out
from pybots.commands.demonstration.carry_out import Demonstration, Wishes
from pybots.commands.demonstration.cpython_source import Trunk
from pybots.commands.demonstration.farm_folder import Ports
from pybots.commands.demonstration.running_farm import RunningFarm
from pybots.commands.demonstration.stages import Stage
from pybots.commands.demonstration.watch import Watch
from pybots.database.engine import Sessions
from pybots.database.tables import Request
from pybots.registry.recipe import Recipe
from rows import Rows

RECIPE = """
[project]
name = "attrs"
contacts = ["a@example.org"]
[source]
pypi = "attrs"
[test]
command = ["{python}", "-m", "pytest"]
report = "junit"
"""


class Recorder:
    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, stages: list[Stage]) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


class PlayedFarm:
    """Does at once what a master and its workers would do; `status` is how every run ends."""

    def __init__(self) -> None:
        self.status = "passed"
        self.interpreter_status = "proven"
        self.requests = 0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sessions: Sessions) -> None:
        self._end.clear()
        self._thread = threading.Thread(target=self._play, args=(sessions,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        if self._thread:
            self._thread.join()

    def _play(self, sessions: Sessions) -> None:
        with sessions.writing() as session:
            add = Rows(session, datetime.now(UTC))
            branch = add.branch()
            if branch.head_commit_id is None:
                self._take_in(add)
            branch.polled_at = add.now
        while not self._end.wait(0.05):
            with sessions.writing() as session:
                for request in session.scalars(select(Request).where(Request.applied_at.is_(None))):
                    self.requests += 1
                    add = Rows(session, datetime.now(UTC))
                    request.applied_at, request.answer = add.now, "1 runs wanted"
                    self._run(add, again=self.requests)

    def _take_in(self, add: Rows) -> None:
        proven = self.interpreter_status == "proven"
        artifact = {} if proven else {"artifact_id": None, "detail": "gcc said no"}
        add.interpreter(1, started_at=add.now, status=self.interpreter_status, **artifact)
        add.branch().head_commit_id = add.commit(1).id
        add.project("attrs", recipe=Recipe.model_validate(tomllib.loads(RECIPE)).model_dump_json())
        if proven:
            self._run(add, again=0)

    def _run(self, add: Rows, again: int) -> None:
        counts = {"collected": 10, "passed": 8, "failed": 1, "skipped": 1, "deselected": 2}
        ending = {"state": "finished", "status": self.status, "seconds": 4.2, "revision": "25.1"}
        add.run(1, add.project("attrs"), again=again, **counts, **ending)


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedFarm]:
    played = PlayedFarm()
    recipe = tmp_path / "attrs.toml"
    recipe.write_text(RECIPE)
    trunk = Trunk("/nowhere", "main", "0" * 40, "CPython 3.13.5 from a test")

    def start(running: RunningFarm, _ports: Ports, _say: object) -> None:
        played.start(played_sessions[0])

    played_sessions: list[Sessions] = []
    own_watch = Demonstration._watch

    def watch(demonstration: Demonstration, ports: Ports) -> Watch:
        made = own_watch(demonstration, ports)
        played_sessions[:] = [made.sessions]
        return made

    monkeypatch.setattr(RunningFarm, "start", start)
    monkeypatch.setattr(Demonstration, "_watch", watch)
    monkeypatch.setattr(carry_out, "make_fit", lambda say, install: [])
    monkeypatch.setattr(carry_out, "raise_without_sandbox", lambda allowed: None)
    monkeypatch.setattr(carry_out.CPythonSource, "get", lambda self, git, version: trunk)
    monkeypatch.setattr(carry_out, "recipes_for", lambda names: [recipe])
    monkeypatch.setattr(carry_out, "LOOK_SECONDS", 0.05)
    yield played
    played.stop()


def demonstrate(folder: Path, farm: PlayedFarm) -> tuple[bool, dict[str, object], list[str]]:
    recorder = Recorder()
    wishes = Wishes(folder / "farm", None, None, (), ("default",), False, folder / "out.json")
    try:
        done = Demonstration(wishes, recorder).carry_out()  # type: ignore[arg-type]
    finally:
        farm.stop()
    return done, json.loads((folder / "out.json").read_text()), recorder.said


def test_the_first_time(tmp_path: Path, farm: PlayedFarm) -> None:
    done, answer, said = demonstrate(tmp_path, farm)
    assert done
    assert answer["cost"]["interpreters_built"] == 1  # type: ignore[index]
    assert answer["cost"]["stages"].keys() == {"machine", "source", "farm", "interpreter default", "attrs"}  # type: ignore[index]
    assert farm.requests == 0
    assert "attrs    25.1      passed         10       8       1" in "\n".join(said)
    assert any("http://127.0.0.1:" in text for text in said)


def test_a_second_time_runs_again_and_builds_nothing(tmp_path: Path, farm: PlayedFarm) -> None:
    demonstrate(tmp_path, farm)
    done, answer, _ = demonstrate(tmp_path, farm)
    assert done
    assert farm.requests == 1
    assert answer["cost"]["interpreters_built"] == 0  # type: ignore[index]
    assert answer["cost"]["runs"] == 1  # type: ignore[index]
    [head] = answer["heads"]  # type: ignore[misc]
    assert len(head["runs"]) == 1


@pytest.mark.parametrize(("status", "done"), [("tests-failed", True), ("environment-failed", False)])
def test_a_failing_suite_is_a_result_and_no_suite_is_not(
    tmp_path: Path, farm: PlayedFarm, status: str, done: bool
) -> None:
    farm.status = status
    assert demonstrate(tmp_path, farm)[0] is done


def test_without_an_interpreter_it_ends_and_says_why(tmp_path: Path, farm: PlayedFarm) -> None:
    farm.interpreter_status = "compile-failed"
    done, answer, said = demonstrate(tmp_path, farm)
    assert not done
    assert "compile-failed" in "\n".join(said)
    [head] = answer["heads"]  # type: ignore[misc]
    assert head["interpreters"][0]["artifact"] is None
