from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pybots.commands.main import main
from pybots.commands.new_farm import Choices, make_farm

RECIPE = """\
[project]
name = "tiny"
summary = "A tiny one."
contacts = ["a@example.org"]
[source]
path = "source"
[install]
steps = [["{python}", "-c", "pass"]]
[test]
command = ["{python}", "-m", "pybots_unittest", "discover", "-s", "."]
report = "unittest"
[[deselect]]
tests = ["test_tiny.Tests.test_left_out"]
reason = "It is left out on purpose."
"""
SUITE = """\
import unittest

class Tests(unittest.TestCase):
    def test_good(self): pass
    @unittest.skip("not here")
    def test_skipped(self): pass
    def test_left_out(self): raise SystemExit("it ran")
"""
BAD_TEST = """
    def test_bad(self): self.assertEqual(1, 2)
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "test_tiny.py").write_text(SUITE)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path / "tiny.toml"


@pytest.fixture(autouse=True)
def folder_for_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", None)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["project", *map(str, arguments)])


def test_check_says_nothing_is_wrong(recipe: Path) -> None:
    result = run("check", recipe)
    assert (result.exit_code, result.output) == (0, f"{recipe}: nothing is wrong\n")


def test_check_names_what_is_wrong_in_each_file(recipe: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(RECIPE.replace("{python}", "{pyton}").replace('"tiny"', '"bad"'))
    result = run("check", recipe, bad, tmp_path / "missing.toml")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{recipe}: nothing is wrong",
        f"{bad}:8: unknown placeholder {{pyton}}; did you mean {{python}}?",
        f"{bad}:10: unknown placeholder {{pyton}}; did you mean {{python}}?",
        f"{tmp_path}/missing.toml: No such file or directory",
    ]
    found = json.loads(run("check", recipe, bad, "--json").output)
    assert (found["ok"], found["files"][str(recipe)]) == (False, [])
    assert [problem["line"] for problem in found["files"][str(bad)]] == [8, 10]


EXPECTED = """
[[expected_failure]]
tests = ["test_tiny.Tests.test_good"]
reason = "It waits for a release."
expires = {day}
"""


def test_check_says_when_an_expected_failure_has_expired(recipe: Path) -> None:
    recipe.write_text(RECIPE + EXPECTED.format(day="2020-01-01"))
    result = run("check", recipe)
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            f"{recipe}: nothing is wrong",
            f"{recipe}: test_tiny.Tests.test_good was expected to fail until 2020-01-01: It waits for a release.",
        ],
    )
    assert json.loads(run("check", recipe, "--json").output)["notes"][str(recipe)]
    recipe.write_text(RECIPE + EXPECTED.format(day="9999-01-01"))
    assert run("check", recipe).output == f"{recipe}: nothing is wrong\n"


@pytest.mark.parametrize("day", ['"2026-12-31"', "20261231", "2026-12-31T10:00:00Z"])
def test_a_day_is_a_day(recipe: Path, day: str) -> None:
    recipe.write_text(RECIPE + EXPECTED.format(day=day))
    result = run("check", recipe)
    assert result.exit_code == 1
    assert "a date like 2026-12-31, without quotes" in result.output


def test_list_of_a_farm_and_of_a_folder(recipe: Path, tmp_path: Path) -> None:
    farm = tmp_path / "farm"
    make_farm(farm, Choices(git="https://example.org/x.git"))
    (farm / "projects" / "tiny.toml").write_text(RECIPE.replace('source"', '."'))
    (farm / "projects" / "bad.toml").write_text("x = 1\n")
    result = run("list", "--dir", farm)
    assert result.exit_code == 0
    assert (
        "tiny     folder .  unittest  every branch / default / every platform  A tiny one." in result.output
    )
    assert "\nset aside: bad\nprojects/bad.toml: " in result.output
    assert "projects/bad.toml:1: unknown key `x`" in result.output
    found = json.loads(run("list", "--dir", recipe.parent, "--json").output)
    assert [item["project"]["name"] for item in found["projects"]] == ["tiny"]


def test_list_of_nothing(tmp_path: Path) -> None:
    result = run("list", "--dir", tmp_path)
    assert (result.exit_code, "no recipes" in result.output) == (0, True)


def test_schema_is_json_that_knows_the_keys() -> None:
    schema = json.loads(run("schema").output)
    assert set(schema["required"]) == {"project", "source", "test"}
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["LimitsSection"]["properties"]["wall_seconds"]["maximum"] == 21600


def test_try_passes(recipe: Path, tmp_path: Path) -> None:
    result = run("try", recipe, "--python", sys.executable)
    assert result.exit_code == 0, result.output
    for phase in ("fetch source ...", "suite: done in"):
        assert phase in result.stderr
    lines = result.stdout.splitlines()
    heading = next(index for index, line in enumerate(lines) if line.startswith("collected"))
    counts = dict(zip(lines[heading].split(), map(int, lines[heading + 1].split()), strict=True))
    assert counts == {
        "collected": 2,
        "passed": 1,
        "failed": 0,
        "error": 0,
        "skipped": 1,
        "expected-failure": 0,
        "unexpected-pass": 0,
        "deselected": 1,
    }
    assert ": passed" in result.stdout
    log = Path(lines[-1].removeprefix("log: "))
    assert "test_good" in log.read_text() or "OK" in log.read_text()
    assert not (log.parent / "source").exists()
    assert not (log.parent / "venv").exists()
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["cache", "source", "tiny.toml", "tmp"]


def test_try_shows_failing_tests_and_exits_with_1(recipe: Path) -> None:
    suite = recipe.parent / "source" / "test_tiny.py"
    suite.write_text(SUITE + BAD_TEST)
    result = run("try", recipe, "--keep")
    assert result.exit_code == 1
    assert "failed: test_tiny.Tests.test_bad" in result.stdout
    assert "    AssertionError: 1 != 2" in result.stdout
    assert "tests-failed: 1 failed of 3" in result.stdout
    folder = Path(result.stdout.splitlines()[-1].removeprefix("log: ")).parent
    assert (folder / "venv").is_dir()


def test_try_as_json_for_scripts(recipe: Path) -> None:
    (recipe.parent / "source" / "test_tiny.py").write_text(SUITE + BAD_TEST)
    result = run("try", recipe, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["project"], found["status"], found["counts"]["failed"]) == ("tiny", "tests-failed", 1)
    (failure,) = found["failures"]
    assert (failure["test"], failure["exception"]) == ("test_tiny.Tests.test_bad", "AssertionError")
    assert Path(found["log"]).is_file()


def test_try_of_what_does_not_install_shows_the_end_of_the_log(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace('"-c", "pass"', '"-c", "raise SystemExit(\'cannot install\')"'))
    result = run("try", recipe)
    assert result.exit_code == 1
    assert "install project: failed" in result.stderr
    assert "the end of the log:" in result.stdout
    assert "cannot install" in result.stdout
    assert "install-failed" in result.stdout


def test_try_of_a_bad_recipe_or_python(recipe: Path) -> None:
    assert run("try", recipe, "--python", "no-such-python").exit_code == 2
    recipe.write_text(RECIPE.replace("report =", "reprt ="))
    result = run("try", recipe)
    assert result.exit_code == 1
    assert "did you mean `report`?" in result.output


def test_try_needs_no_farm_and_runs_as_a_command(recipe: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pybots.commands.main", "project", "try", str(recipe)],
        cwd=recipe.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
