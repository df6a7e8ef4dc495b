"""The whole loop in miniature, through a real master and real workers."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from miniprojects import EVERY_ENDING, FAILS, NOTICES_A_CHANGE, PASSES, MiniProject, looks_around
from sqlalchemy import select

from minifarm import MiniFarm, running
from pybots.commands.master_process import reconfigure_master
from pybots.database.tables import Commit, Condition, IntervalRow, ProjectRow, TestRow

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]
EXPECTED = tomllib.loads((Path(__file__).parent / "expected.toml").read_text())


def move_to(trunk: Path, commit: str) -> None:
    """Let the branch `main` of *trunk* point to *commit*, as a push would."""
    subprocess.run(["git", "update-ref", "refs/heads/main", commit], cwd=trunk, check=True, timeout=30)


@pytest.fixture
def repository(trunk: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A trunk of one's own, whose branch is moved at will."""
    path, commits = trunk
    own = tmp_path / "cpython.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(path), str(own)], check=True, timeout=60)
    move_to(own, commits[0])
    return own, commits


@pytest.fixture(scope="module")
def first_commit(
    trunk: tuple[Path, list[str]], wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MiniFarm]:
    """A farm on which every tiny project ran on the first commit."""
    folder = tmp_path_factory.mktemp("every-ending")
    own = folder / "cpython.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(trunk[0]), str(own)], check=True, timeout=60)
    move_to(own, trunk[1][0])
    farm = MiniFarm(folder, own, packages=wheelhouse)
    projects = [*EVERY_ENDING, looks_around(farm.root)]
    for project in projects:
        project.write(farm.recipes, farm.sources)
    (farm.recipes / "unreadable.toml").write_text("[project]\nname = 'unreadable'\nsumary = 'x'\n")
    with running(farm):
        farm.wait_for_runs(len(projects), seconds=300)
        yield farm


@pytest.mark.parametrize("project", sorted(EXPECTED))
def test_each_project_ends_as_expected(first_commit: MiniFarm, project: str) -> None:
    run = next(run for run in first_commit.runs() if run.key.startswith(f"{project}~"))
    assert run.status == EXPECTED[project]["status"], run.detail
    counts = EXPECTED[project].get("counts", {})
    assert {name: getattr(run, name) for name in counts} == counts
    assert run.worker in first_commit.workers
    assert run.attempts == 1


def test_every_expectation_is_met_by_one_run(first_commit: MiniFarm) -> None:
    assert sorted(first_commit.statuses()) == sorted(EXPECTED)


def test_both_workers_carried_out_runs(first_commit: MiniFarm) -> None:
    assert {run.worker for run in first_commit.runs()} == set(first_commit.workers)


def test_a_run_that_got_so_far_has_a_lock_and_a_log(first_commit: MiniFarm) -> None:
    runs = {run.key.split("~")[0]: run for run in first_commit.runs()}
    assert runs["with-pytest"].environment_id is not None
    assert runs["passes"].revision
    assert runs["passes"].complete
    assert not runs["crashes"].complete


def test_a_bad_recipe_is_set_aside_by_name_and_line(first_commit: MiniFarm) -> None:
    with first_commit.sessions.reading() as session:
        row = session.scalars(select(ProjectRow).where(ProjectRow.name == "unreadable")).one()
    assert "unreadable.toml:3" in row.problem
    assert "summary" in row.problem


def test_commits_take_their_way(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Documentation inherits, a change in Lib is built in place and seen, a broken commit is told from its mending."""
    path, commits = repository
    farm = MiniFarm(tmp_path, path, variants={"default": [], "debug": ["--with-pydebug"]})
    for project in (PASSES, NOTICES_A_CHANGE):
        project.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait_for_runs(4)
        for number, runs in ((1, 4), (2, 8), (3, 8), (4, 12)):
            move_to(path, commits[number])
            farm.wait(f"commit {number}", lambda number=number: len(farm.interpreters()) == 2 * (number + 1))
            farm.wait_for_runs(runs)
    rows = [row for row in farm.interpreters() if "~default~" in row.key]
    assert [row.status for row in rows] == ["proven", "inherited", "proven", "compile-failed", "proven"]
    assert rows[1].inherited_from_id == rows[0].id
    assert rows[3].fell_back, "a clean build is made before anyone is blamed"
    assert "broken.c" in rows[3].log_tail
    assert not rows[2].clean_build
    with farm.sessions.reading() as session:
        touches = [session.get_one(Commit, row.commit_id).touches for row in rows]
        test = session.scalars(select(TestRow).where(TestRow.name == "test_it.T.test_module")).one()
        intervals = session.scalars(
            select(IntervalRow)
            .where(IntervalRow.test_id == test.id, IntervalRow.track_id == rows[0].track_id)
            .order_by(IntervalRow.first_place)
        ).all()
    assert touches == ["native", "documentation", "library", "native", "native"]
    assert [interval.outcome for interval in intervals] == ["passed", "failed", "passed"]
    assert intervals[-1].end_place is None


def test_a_new_recipe_runs_without_reconfiguration(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, commits = repository
    farm = MiniFarm(tmp_path, path, workers=("one",))
    PASSES.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait_for_runs(1)
        FAILS.write(farm.recipes, farm.sources)
        move_to(path, commits[2])
        farm.wait("the next interpreter", lambda: len(farm.interpreters()) == 3)
        farm.wait_for_runs(3)
    assert farm.statuses() == {"passes": "passed", "fails": "tests-failed"}


def test_a_broken_configuration_keeps_the_farm_running(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """While it runs, and at a cold start."""
    path, commits = repository
    farm = MiniFarm(tmp_path, path, workers=("one",))
    PASSES.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait_for_runs(1)
        farm.write_configuration(extra="vriants = 1")
        answer = reconfigure_master(farm.root)
        assert any("farm.toml:" in problem for problem in answer.problems)
        farm.kill_master()
        farm.start_master_again()
        move_to(path, commits[2])
        farm.wait("the next interpreter", lambda: len(farm.interpreters()) == 3)
        farm.wait_for_runs(2)
        with farm.sessions.reading() as session:
            assert "last good" in session.get_one(Condition, "configuration").text
        farm.write_configuration()
        assert reconfigure_master(farm.root).problems == []
        with farm.sessions.reading() as session:
            assert session.get(Condition, "configuration") is None


SLOW = MiniProject(
    "slow",
    """
import os, time, unittest
class T(unittest.TestCase):
    def test_slow(self): time.sleep(6)
""",
)


def test_a_worker_killed_during_a_run(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The run is done again, by another worker, and counted once."""
    path, _ = repository
    farm = MiniFarm(tmp_path, path)
    SLOW.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait("the run to be under way", lambda: any(run.state == "running" for run in farm.runs()))
        (run,) = farm.runs()
        farm.kill_worker(run.worker)
        farm.wait_for_runs(1)
    (run,) = farm.runs()
    assert (run.status, run.attempts, run.passed) == ("passed", 2, 1)


def test_a_worker_that_falls_silent_is_noticed(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    """A stopped process closes no connection: only a question without an answer shows that it is gone."""
    path, _ = repository
    farm = MiniFarm(tmp_path, path, keepalive_seconds=1)
    SLOW.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait("the run to be under way", lambda: any(run.state == "running" for run in farm.runs()))
        (run,) = farm.runs()
        silence(farm, run.worker)
        farm.wait_for_runs(1)
    (after,) = farm.runs()
    assert (after.status, after.attempts) == ("passed", 2)
    assert after.worker != run.worker


def silence(farm: MiniFarm, worker: str) -> None:
    """SIGSTOP every process of the worker, which keeps its connection open and answers nothing."""
    import psutil

    top = psutil.Process(farm.processes[worker].pid)
    for process in [top, *top.children(recursive=True)]:
        process.suspend()


def test_a_master_killed_during_a_build_and_a_run(repository: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, _ = repository
    farm = MiniFarm(tmp_path, path)
    for project in (SLOW, PASSES):
        project.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait(
            "the build to be under way", lambda: any(row.state == "running" for row in farm.interpreters())
        )
        farm.kill_master()
        farm.start_master_again()
        farm.wait("a run to be under way", lambda: any(run.state == "running" for run in farm.runs()))
        farm.kill_master()
        farm.start_master_again()
        farm.wait_for_runs(2)
    assert farm.statuses() == {"slow": "passed", "passes": "passed"}
    assert [row.status for row in farm.interpreters()] == ["proven"]
    with farm.sessions.reading() as session:
        assert len(session.scalars(select(IntervalRow)).all()) == 4
    shutil.rmtree(farm.folder)
