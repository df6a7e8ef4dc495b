"""kill -9 of the master during a build of a real CPython, and of a worker during a real project's run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from demonstrated import Demonstrated
from sqlalchemy import func, select

from minifarm import MiniFarm, running
from pybots.database.tables import IntervalRow
from pybots.registry.read_shipped import shipped_recipes

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3000)]


def compiling(farm: MiniFarm) -> bool:
    """Say whether a compiler has written objects of the interpreter itself."""
    return any(farm.folder.glob("workers/*/worker/cache/trees/*/*/source/Objects/*.o"))


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


def check_counted_once(farm: MiniFarm) -> None:
    """Nothing was lost with the master or the worker, and nothing is there twice."""
    (interpreter,) = farm.interpreters()
    assert (interpreter.status, interpreter.attempts) == ("proven", 1)
    runs = {run.key.split("~")[0]: run for run in farm.runs()}
    assert runs["attrs"].attempts == 2
    assert {run.status for run in runs.values()} <= {"passed", "tests-failed"}
    with farm.sessions.reading() as session:
        intervals = session.scalar(select(func.count()).select_from(IntervalRow))
    assert intervals == sum(run.collected for run in runs.values())


def git(folder: Path, *arguments: str) -> None:
    """Run git in *folder*."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, timeout=300)


def change_the_library(folder: Path, trunk: Path) -> None:
    """Push a commit that changes one module of the standard library."""
    git(folder, "clone", "-q", "--depth=1", f"file://{trunk}", "work")
    module = folder / "work" / "Lib" / "colorsys.py"
    module.write_text(module.read_text() + "\nchanged_by_a_commit = True\n")
    git(folder / "work", "commit", "-q", "-a", "-m", "Change colorsys")
    git(folder / "work", "push", "-q", str(trunk), "HEAD:main")


def attrs_runs(farm: MiniFarm) -> bool:
    """Say whether a worker has taken the run of attrs."""
    return any(run.key.startswith("attrs~") and run.state == "running" for run in farm.runs())
