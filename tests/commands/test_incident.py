"""`pybots incident`: what it prints, what it leaves for the master, and what the master makes of it."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from incident_world import World
from pybots.commands.incident import incident
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Base, Heartbeat, IncidentRow, Request
from pybots.farm.requests import apply_requests

SOON = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """A farm's folder with one incident; its master has never been heard of."""
    sessions = sessions_of(tmp_path)
    Base.metadata.create_all(sessions.engine)
    World(sessions).breaks(11, 10, "test_a")
    sessions.engine.dispose()
    return tmp_path


def sessions_of(folder: Path) -> Sessions:
    return Sessions(open_engine(f"sqlite:///{folder}/results.sqlite"))


def run(*words: object, folder: Path | None = None) -> Result:
    where = ["--dir", str(folder)] if folder else []
    return CliRunner().invoke(incident, [*map(str, words), *where], env={"COLUMNS": "200"})


def facts(*words: object, folder: Path) -> Any:
    done = run(*words, "--json", folder=folder)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def master(folder: Path) -> None:
    """One round of the master's."""
    sessions = sessions_of(folder)
    parts: Any = SimpleNamespace(sessions=sessions, clock=lambda: datetime.now(UTC))
    apply_requests(parts, SimpleNamespace())  # type: ignore[arg-type]
    sessions.engine.dispose()


def beat(folder: Path) -> None:
    sessions = sessions_of(folder)
    now = datetime.now(UTC)
    with sessions.writing() as session:
        session.merge(Heartbeat(process="master", started_at=now, at=now))
    sessions.engine.dispose()


def test_it_lists_and_shows(farm: Path) -> None:
    listed = run("list", farm)
    assert "attrs: test_a fails: AttributeError" in listed.output
    (one,) = facts("list", folder=farm)
    assert (one["state"], one["cause"], one["culprit"]) == ("attributed", "interpreter", None)
    shown = run("show", 1, folder=farm)
    assert shown.exit_code == 0
    assert all(word in shown.output for word in ("opened", "confirmed", "attributed", "pybots reproduce 1"))
    assert facts("show", 1, folder=farm) == one


def test_what_is_not_there_is_a_no(farm: Path, tmp_path: Path) -> None:
    assert run("show", 7, folder=farm).exit_code == 1
    assert run("acknowledge", 7, folder=farm).exit_code == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("list", folder=empty).exit_code == 1
    assert "has not started" in run("list", folder=empty).output


@pytest.mark.parametrize(
    "words",
    [
        ["mute", 1, "--until", "yesterday", "--reason", "so it is"],
        ["mute", 1, "--until", "2020-01-01", "--reason", "so it is"],
        ["mute", 1, "--until", "2126-01-01", "--reason", "so it is"],
        ["mute", 1, "--until", SOON],
        ["mute", 1, "--until", SOON, "--reason", " "],
        ["invalid", 1],
        ["link", 1, "javascript:alert(1)"],
        ["show", "seven"],
        ["list", "/does/not/exist"],
    ],
)
def test_bad_use_changes_nothing(farm: Path, words: list[object]) -> None:
    done = run(*words, folder=farm)
    assert done.exit_code == 2, done.output
    with sessions_of(farm).reading() as session:
        assert session.query(Request).count() == 0


@pytest.mark.parametrize(
    ("words", "what", "state"),
    [
        (["acknowledge", 1], "acknowledged", "attributed"),
        (["mute", 1, "--until", SOON, "--reason", "the release is near"], "muted", "attributed"),
        (["link", 1, "https://example.org/issues/12"], "linked", "attributed"),
        (["invalid", 1, "--reason", "the machine was broken"], "invalidated", "invalid"),
    ],
)
def test_with_a_dead_master_it_is_noted_and_applied_once(
    farm: Path, words: list[object], what: str, state: str
) -> None:
    done = run(*words, "--who", "Ada", folder=farm)
    assert (done.exit_code, "when it is back" in done.output) == (0, True), done.output
    assert facts("show", 1, folder=farm)["state"] == "attributed"
    master(farm)
    master(farm)
    found = facts("show", 1, folder=farm)
    steps = [step for step in found["transitions"] if step["what"] == what]
    assert [(step["who"], step["state"]) for step in steps] == [("Ada", state)]
    assert found["state"] == state
    reason = words[words.index("--reason") + 1] if "--reason" in words else ""
    assert str(reason) in steps[0]["reason"]


def test_what_is_said_is_kept(farm: Path) -> None:
    run("acknowledge", 1, "--who", "Ada", folder=farm)
    run("mute", 1, "--until", SOON, "--reason", "the release is near", folder=farm)
    run("link", 1, "https://example.org/issues/12", folder=farm)
    master(farm)
    found = facts("show", 1, folder=farm)
    assert found["acknowledged_by"] == "Ada"
    assert found["muted_until"].startswith(SOON)
    assert found["upstream"] == "https://example.org/issues/12"
    assert "Ada looks after it" in run("show", 1, folder=farm).output


def test_with_a_living_master_it_waits_for_the_answer(farm: Path) -> None:
    beat(farm)

    def come_to_it() -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with sessions_of(farm).reading() as session:
                if session.query(Request).count():
                    break
            time.sleep(0.05)
        master(farm)

    living = threading.Thread(target=come_to_it)
    living.start()
    answer = facts("invalid", 1, "--reason", "the machine was broken", "--wait", 30, folder=farm)
    living.join()
    assert (answer["applied"], answer["ok"]) == (True, True)
    again = run("invalid", 1, "--reason", "the machine was broken", folder=farm)
    assert again.exit_code == 1
    assert "it is invalid already" in again.output


def test_the_master_refuses_what_has_changed_meanwhile(farm: Path) -> None:
    for _ in range(2):
        assert run("invalid", 1, "--reason", "the machine was broken", folder=farm).exit_code == 0
    master(farm)
    with sessions_of(farm).reading() as session:
        first, second = session.query(Request).order_by(Request.id)
        assert (first.answer, second.answer) == (
            "incident 1: invalidated",
            "refused: it is invalid already",
        )
        assert session.get_one(IncidentRow, 1).state == "invalid"


@pytest.mark.parametrize("verb", ["", "list", "show", "acknowledge", "mute", "invalid", "link"])
def test_help_teaches(verb: str) -> None:
    done = run(*([verb] if verb else []), "--help")
    assert done.exit_code == 0
    assert "incident" in done.output
