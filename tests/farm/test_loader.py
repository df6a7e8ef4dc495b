"""The configuration as a master loads it: the new one, the last good one, and what it says of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from buildbot.config.errors import ConfigErrors

from pybots.commands.new_farm import Choices, make_farm
from pybots.config import last_good
from pybots.config.folder import FarmFolder
from pybots.database.tables import Condition
from pybots.farm.loader import CONDITION, FarmLoader


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_farm(tmp_path / "farm", Choices(git="/nowhere/cpython"))
    FarmFolder(tmp_path / "farm").master.mkdir(exist_ok=True)
    return tmp_path / "farm"


def answer(root: Path) -> dict[str, object]:
    said: dict[str, object] = json.loads(FarmFolder(root).reconfigured.read_text())
    return said


def edit(root: Path, old: str, new: str) -> None:
    path = root / "farm.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def condition(loader: FarmLoader) -> str:
    assert loader.parts is not None
    with loader.parts.sessions.reading() as session:
        row = session.get(Condition, CONDITION)
    return row.text if row else ""


def test_nothing_is_remembered_or_said_before_buildbot_applied_it(root: Path) -> None:
    loader = FarmLoader(root)
    loader.loadConfig()
    assert not (root / last_good.SNAPSHOT).exists()
    assert not FarmFolder(root).reconfigured.exists()
    loader.applied()
    assert (root / last_good.SNAPSHOT).exists()
    assert answer(root)["problems"] == []


def test_what_buildbot_could_not_apply_is_said_and_not_remembered(root: Path) -> None:
    loader = FarmLoader(root)
    loader.loadConfig()
    loader.refused(OSError("address already in use"))
    assert not (root / last_good.SNAPSHOT).exists()
    assert "address already in use" in str(answer(root)["problems"])
    assert "address already in use" in condition(loader)


def test_the_last_good_one_serves_at_a_cold_start(root: Path) -> None:
    loader = FarmLoader(root)
    loader.loadConfig()
    loader.applied()
    edit(root, "[trunk]", "[trunc]")
    cold = FarmLoader(root)
    cold.loadConfig()
    cold.applied()
    assert answer(root)["from_last_good"] is True
    assert "farm.toml:" in str(answer(root)["problems"])
    assert "last good" in condition(cold)
    edit(root, "[trunc]", "[trunk]")
    cold.loadConfig()
    cold.applied()
    assert condition(cold) == ""


def test_the_last_good_one_serves_when_buildbot_refuses_farm_toml(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What our own model lets through, and Buildbot does not."""
    loader = FarmLoader(root)
    loader.loadConfig()
    loader.applied()
    real = FarmLoader._translate

    def translate(self: FarmLoader, configuration: object) -> object:
        if configuration.farm.name == "refused":  # type: ignore[attr-defined]
            raise ConfigErrors(["builder has no workers"])
        return real(self, configuration)  # type: ignore[arg-type]

    monkeypatch.setattr(FarmLoader, "_translate", translate)
    edit(root, 'name = "Pybots"', 'name = "refused"')
    loader.loadConfig()
    loader.applied()
    assert "builder has no workers" in str(answer(root)["problems"])
    assert answer(root)["from_last_good"] is True


def test_the_databases_stay_for_a_masters_life(root: Path) -> None:
    loader = FarmLoader(root)
    loader.loadConfig()
    loader.applied()
    edit(root, "[trunk]", '[database]\nresults = "sqlite:///other.sqlite"\n[trunk]')
    loader.loadConfig()
    loader.applied()
    assert "the databases cannot change" in str(answer(root)["problems"])


def test_with_neither_it_says_so_at_once(root: Path) -> None:
    edit(root, "[trunk]", "[trunc]")
    with pytest.raises(ConfigErrors, match="trunc"):
        FarmLoader(root).loadConfig()
    assert "trunc" in str(answer(root)["problems"])
