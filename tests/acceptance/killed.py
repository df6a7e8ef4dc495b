"""What is looked at when a master is killed during a build of a real CPython, and a worker during a real run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sqlalchemy import func, select

from minifarm import MiniFarm
from pybots.database.tables import IntervalRow


def compiling(farm: MiniFarm) -> bool:
    """Say whether a compiler has written objects of the interpreter itself."""
    return any(farm.folder.glob("workers/*/worker/cache/trees/*/*/source/Objects/*.o"))


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
