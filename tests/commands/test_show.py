from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from pybots.commands.show import show
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Base

SITE_ROWS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "site" / "site_rows.py")))


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A farm's folder with results, and without a farm.toml that can be read."""
    folder = tmp_path_factory.mktemp("farm")
    (folder / "farm.toml").write_text("this is [not TOML")
    engine = open_engine(f"sqlite:///{folder}/results.sqlite")
    Base.metadata.create_all(engine)
    with Sessions(engine).writing() as session:
        SITE_ROWS.fill(session)
    engine.dispose()
    return folder


def ask(*words: object) -> Result:
    return CliRunner().invoke(show, [str(word) for word in words], terminal_width=200, env={"COLUMNS": "200"})


def facts(*words: object) -> object:
    done = ask(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "6 of the 9 newest runs passed"),
        (["status"], "The master has been silent"),  # the clock is the real one here
        (["projects"], "3 of 1,346 tests"),
        (["runs"], "install failed"),
        (["commits"], "inherited from"),
        (["queue"], "running"),
        (["workers"], "pegasus-1"),
    ],
)
def test_each_has_a_table_and_json(farm: Path, words: list[str], said: str) -> None:
    done = ask(farm, *words)
    assert done.exit_code == 0, done.output
    assert said in done.output
    assert facts(farm, *words)


def test_one_run_and_one_interpreter(farm: Path) -> None:
    runs = facts(farm, "runs")
    assert isinstance(runs, list)
    run = next(run for run in runs if run["status"] == "tests-failed")
    done = ask(farm, "run", run["key"])
    assert "tests/test_commands.py::test_help_of_nested_group" in done.output
    assert "assert result.output == EXPECTED" in done.output
    assert "extension: ok" in ask(farm, "interpreter", run["interpreter"]).output


@pytest.mark.parametrize("words", [["run", "none"], ["interpreter", "none"]])
def test_what_does_not_exist_is_a_no(farm: Path, words: list[str]) -> None:
    done = ask(farm, *words)
    assert done.exit_code == 1
    assert f"there is no {words[0]} none" in done.output


@pytest.mark.parametrize(
    "words", [["nowhere"], ["run"], ["runs", "extra"], ["run", "a", "b"], [".", "nothing"], ["--yaml"]]
)
def test_bad_use(words: list[str]) -> None:
    assert ask(*words).exit_code == 2


def test_the_folder_may_be_left_out(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(farm)
    assert "click" in ask("projects").output


def test_a_farm_that_has_not_started(tmp_path: Path) -> None:
    assert "has not started" in ask(tmp_path).output
    done = ask(tmp_path, "runs")
    assert done.exit_code == 1
    assert "has not started" in done.output
    assert list(tmp_path.iterdir()) == []


def test_help_teaches() -> None:
    assert "pybots show farm run KEY" in ask("--help").output


def test_a_terminal_is_not_told_what_to_do(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/results.sqlite")
    Base.metadata.create_all(engine)
    with Sessions(engine).writing() as session:
        rows = SITE_ROWS.SiteRows(session)
        rows.worker("evil", doing="\x1b[2J\x1b]0;title\x07 [bold]markup[/bold] \u202e")
        rows.project("evil", problem="\x1b[2J[link=x]here[/link]", recipe="")
    engine.dispose()
    said = ask(tmp_path, "workers").output + ask(tmp_path, "projects").output + ask(tmp_path).output
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[bold]markup[/bold]" in said
