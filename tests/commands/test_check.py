from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pybots.commands import check as check_module
from pybots.commands import check_buildbot
from pybots.commands.check_buildbot import buildbot_problems
from pybots.commands.main import TABLE, main
from pybots.commands.new_farm import Choices, make_farm

RECIPE = """\
[project]
name = "{name}"
contacts = ["a@example.org"]
[source]
pypi = "example"
[test]
command = ["{{python}}", "-m", "pytest", "--junitxml={{report}}"]
report = "junit"
[tracks]
branches = ["{branch}"]
"""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    make_farm(tmp_path / "farm", Choices(git="https://example.org/cpython.git"))
    recipe(tmp_path / "farm", "good")
    return tmp_path / "farm"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Without Buildbot, which takes seconds to load; which farms it was asked about."""
    asked: list[Path] = []

    def nothing_wrong(folder: Path) -> list[str]:
        asked.append(folder)
        return []

    monkeypatch.setattr(check_module, "buildbot_problems", nothing_wrong)
    return asked


def recipe(folder: Path, name: str, branch: str = "main") -> None:
    (folder / "projects" / f"{name}.toml").write_text(RECIPE.format(name=name, branch=branch))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_a_good_farm(farm: Path, quick: list[Path]) -> None:
    result = run(farm)
    assert (result.exit_code, result.output) == (0, "no problem; 1 recipes are good\n")
    assert quick == [farm]


def test_everything_that_is_wrong_is_listed(farm: Path, quick: list[Path]) -> None:
    recipe(farm, "old", branch="2.7")
    (farm / "projects" / "bad.toml").write_text("[project\n")
    (farm / "secrets" / "worker2").chmod(0o644)
    text = (farm / "farm.toml").read_text()
    (farm / "farm.toml").write_text(text.replace("poll_seconds", "pol_seconds"))
    result = run(farm)
    assert result.exit_code == 1
    assert "unknown key `pol_seconds` in [trunk]; did you mean `poll_seconds`?" in result.output
    assert "projects/bad.toml:1: " in result.output
    assert "set aside (bad)" in result.output
    assert quick == [], "Buildbot cannot be asked about a farm.toml that does not load"


def test_a_recipe_alone_is_a_problem_too(farm: Path, quick: list[Path]) -> None:
    recipe(farm, "old", branch="2.7")
    result = run(farm, "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert (found["ok"], found["recipes"], found["set_aside"], found["buildbot"]) == (
        False,
        ["good", "old"],
        [],
        True,
    )
    (problem,) = found["problems"]
    assert (problem["file"], problem["line"], problem["where"]) == (
        "projects/old.toml",
        10,
        "tracks.branches[0]",
    )
    assert quick


def test_a_missing_folder_of_recipes_is_a_problem(farm: Path, quick: list[Path]) -> None:
    (farm / "projects" / "good.toml").unlink()
    (farm / "projects").rmdir()
    result = run(farm)
    assert result.exit_code == 1
    assert "no recipe can be read" in result.output
    assert quick


def test_what_buildbot_says_is_a_problem(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "buildbot_problems", lambda _folder: ["builder x has no workers"])
    result = run(farm)
    assert (result.exit_code, result.output.splitlines()[0]) == (1, "farm.toml: builder x has no workers")


def test_buildbot_itself_accepts_a_new_farm_and_nothing_is_left_behind(farm: Path) -> None:
    before = sorted(farm.rglob("*"))
    assert buildbot_problems(farm) == []
    assert sorted(farm.rglob("*")) == before


def test_an_exception_on_the_way_to_buildbot_is_a_problem(farm: Path) -> None:
    (farm / "secrets" / "worker1").unlink()
    (problem,) = buildbot_problems(farm)
    assert "worker1" in problem


@pytest.mark.parametrize(
    ("program", "said"),
    [("import os; os._exit(0)", "exit status 0"), ("raise SystemExit('gone wrong')", "gone wrong")],
)
def test_a_process_that_ends_without_an_answer_is_a_problem(
    farm: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    real = subprocess.run

    def run_program(_command: list[str], **options: object) -> object:
        return real([sys.executable, "-c", program], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(check_buildbot.subprocess, "run", run_program)
    (problem,) = buildbot_problems(farm)
    assert said in problem


def test_bad_use(tmp_path: Path) -> None:
    assert run(tmp_path / "missing").exit_code == 2


def test_help_is_quick_and_names_every_command() -> None:
    """It imports no subcommand: importing Buildbot or SQLAlchemy takes seconds."""
    program = (
        "import sys\nfrom pybots.commands.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'buildbot', 'twisted', 'sqlalchemy', 'pydantic', 'fastapi', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, entry in TABLE.items():
        assert name in done.stdout
        assert entry.says in done.stdout


@pytest.mark.parametrize("name", TABLE)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output


def test_a_part_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybots.commands.check", None)
    result = CliRunner().invoke(main, ["check", "."])
    assert result.exit_code == 1
    assert "is not part of this version" in result.output


def test_an_unknown_command_is_bad_use() -> None:
    assert CliRunner().invoke(main, ["chek"]).exit_code == 2
