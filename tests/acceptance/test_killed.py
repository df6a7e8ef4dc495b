"""kill -9 of the master during a build of a real CPython, and of a worker during a real project's run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import func, select

from conftest import Demonstrated
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
    farm = MiniFarm(tmp_path, demonstration.repository)
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
    (interpreter,) = farm.interpreters()
    assert (interpreter.status, interpreter.attempts) == ("proven", 1)
    runs = {run.key.split("~")[0]: run for run in farm.runs()}
    assert runs["attrs"].attempts == 2
    assert {run.status for run in runs.values()} <= {"passed", "tests-failed"}
    with farm.sessions.reading() as session:
        intervals = session.scalar(select(func.count()).select_from(IntervalRow))
    assert intervals == sum(run.collected for run in runs.values())


def attrs_runs(farm: MiniFarm) -> bool:
    """Say whether a worker has taken the run of attrs."""
    return any(run.key.startswith("attrs~") and run.state == "running" for run in farm.runs())
