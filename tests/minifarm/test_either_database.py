"""The loop on SQLite and on PostgreSQL; and the page, from a process of its own, when the master is dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from miniprojects import FAILS, PASSES

from minifarm import MiniFarm, running
from pybots.results.store import failures_of_run

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(300)]


@contextmanager
def page(farm: MiniFarm) -> Iterator[str]:
    command = [sys.executable, "-m", "pybots.commands.main", "site", str(farm.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{farm.ports[3]}"
    try:
        farm.wait("the page to answer", lambda: answers(address), 60)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=10, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def test_from_a_commit_to_a_page_that_outlives_the_master(
    databases: Any, trunk: tuple[Path, list[str]], tmp_path: Path, wheelhouse: Path
) -> None:
    farm = MiniFarm(tmp_path, trunk[0], workers=("one",), packages=wheelhouse)
    if databases.kind == "postgresql":
        farm.write_configuration(
            f'database.results = "{databases.empty()}"\ndatabase.buildbot = "{databases.empty()}"'
        )
    for project in (PASSES, FAILS):
        project.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait_for_runs(2)
        assert farm.statuses() == {"passes": "passed", "fails": "tests-failed"}, farm.describe()
        failed = next(run for run in farm.runs() if run.status == "tests-failed")
        with farm.sessions.reading() as session:
            assert {test.exception for test in failures_of_run(session, failed.id)} == {
                "AssertionError",
                "KeyError",
            }
        farm.kill_master()
        with page(farm) as address:
            status = httpx.get(f"{address}/api/status", timeout=20, trust_env=False).json()
            shown = httpx.get(f"{address}/run/{failed.key}", timeout=20, trust_env=False)
            front = httpx.get(address, timeout=20, trust_env=False)
        assert status["started"] is True
        assert shown.status_code == 200
        assert "one is not two" in shown.text
        assert front.status_code == 200
        assert "fails" in front.text
