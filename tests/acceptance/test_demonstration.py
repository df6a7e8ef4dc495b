"""`pybots demo` with a real CPython and the ten real projects, a second time, and with kill -9 on its CPython.

They share a demonstration, and so a file: with `--dist loadfile` a file's tests share a process.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from demonstrated import Demonstrated, demonstrate
from killed import attrs_runs, change_the_library, check_counted_once, compiling, git

from minifarm import MiniFarm, running
from pybots.registry.read_shipped import shipped_recipes

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3000)]

# Below what each suite's default collection has on CPython 3.13 (docs/reference/shipped-projects.md has the figures).
AT_LEAST = {
    "attrs": 1000,
    "click": 500,
    "django": 15_000,
    "genshi": 800,
    "markupsafe": 70,
    "packaging": 60_000,
    "pg8000": 700,
    "pyyaml": 2500,
    "roundup": 2000,
    "twisted": 10_000,
}


def newest_runs(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The runs of the newest head, by project."""
    return {run["project"]: run for run in facts["heads"][-1]["runs"]}


def test_the_interpreter_is_built_from_source_and_proven(demonstration: Demonstrated) -> None:
    assert demonstration.status == 0, demonstration.printed
    (interpreter,) = demonstration.facts["heads"][-1]["interpreters"]
    assert interpreter["status"] == "proven"
    assert len(interpreter["artifact"]) == 64
    assert demonstration.facts["cost"]["interpreters_built"] == 1


@pytest.mark.parametrize("project", sorted(AT_LEAST))
def test_each_project_ran_its_whole_suite(demonstration: Demonstrated, project: str) -> None:
    run = newest_runs(demonstration.facts)[project]
    assert run["status"] in {"passed", "tests-failed"}, run
    counts = run["counts"]
    assert counts["collected"] >= AT_LEAST[project], run
    assert counts["failed"] + counts["error"] <= counts["collected"] // 100, run
    assert counts["passed"] > counts["skipped"], run


def test_nothing_that_was_not_compared_is_claimed(demonstration: Demonstrated) -> None:
    assert demonstration.facts["incidents"] == []
    assert demonstration.facts["notices"] == []


def test_a_second_time_nothing_is_compiled_and_the_suites_run_again(
    demonstration: Demonstrated, tmp_path: Path
) -> None:
    again = demonstrate(
        demonstration.folder, tmp_path / "second.json", "--project", "attrs", "--project", "markupsafe"
    )
    assert again.status == 0, again.printed
    assert again.facts["cost"]["interpreters_built"] == 0
    assert again.facts["cost"]["runs"] == 2
    before = newest_runs(demonstration.facts)
    after = newest_runs(again.facts)
    assert {name: after[name]["counts"] for name in ("attrs", "markupsafe")} == {
        name: before[name]["counts"] for name in ("attrs", "markupsafe")
    }


def test_the_work_is_done_again_and_nothing_is_lost_or_counted_twice(
    demonstration: Demonstrated, tmp_path: Path
) -> None:
    trunk = tmp_path / "cpython.git"
    git(tmp_path, "clone", "-q", "--bare", str(demonstration.repository), str(trunk))
    farm = MiniFarm(tmp_path, trunk)
    recipes = {path.stem: path for path in shipped_recipes()}
    shutil.copy(recipes["attrs"], farm.recipes)
    shutil.copy(recipes["markupsafe"], farm.recipes)
    with running(farm):
        farm.wait("the compiler to be at work", lambda: compiling(farm), seconds=600)
        farm.kill_master()
        farm.start_master_again()
        farm.wait("attrs to be under way", lambda: attrs_runs(farm), seconds=1500)
        (attrs,) = (run for run in farm.runs() if run.key.startswith("attrs~"))
        farm.kill_worker(attrs.worker)
        farm.wait_for_runs(2, seconds=900)
        check_counted_once(farm)
        # It may be the one that makes interpreters: any of the two takes a run.
        farm.start_worker(attrs.worker)
        change_the_library(tmp_path, trunk)
        farm.wait("the next commit", lambda: len(farm.interpreters()) == 2)
        farm.wait_for_runs(4, seconds=900)
    second = farm.interpreters()[1]
    assert (second.status, second.clean_build, second.fell_back) == ("proven", False, False)
    assert farm.statuses() == {"attrs": "passed", "markupsafe": "passed"}
