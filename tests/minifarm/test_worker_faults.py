"""Faults made on purpose on a real worker of a real farm: what the master hears of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniprojects import PASSES

from minifarm import MiniFarm, running
from pybots_worker.faults import VARIABLE

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(300)]


@pytest.fixture
def fault(tmp_path: Path) -> Path:
    return tmp_path / "fault"


@pytest.fixture
def farm(trunk: tuple[Path, list[str]], tmp_path: Path, fault: Path) -> MiniFarm:
    farm = MiniFarm(tmp_path, trunk[0], workers=("one",), variables={"one": {VARIABLE: str(fault)}})
    PASSES.write(farm.recipes, farm.sources)
    return farm


@pytest.mark.parametrize(
    ("word", "said"),
    [("disk-full", "the disk was full during the suite"), ("clock-jump", "the clock went forward")],
)
def test_worker_says_that_it_is_unfit(farm: MiniFarm, fault: Path, word: str, said: str) -> None:
    fault.write_text(word)
    with running(farm):
        farm.wait(word, lambda: any(run.status == "worker-unfit" for run in farm.runs()))
    run = next(run for run in farm.runs() if run.status == "worker-unfit")
    assert run.detail.startswith(said)


def test_connection_that_is_lost_half_way_costs_another_attempt(farm: MiniFarm, fault: Path) -> None:
    fault.write_text("network-lost")
    log = farm.folder / "workers" / "one" / "worker" / "twistd.log"
    with running(farm):
        farm.wait("the connection to be lost", lambda: log.exists() and "Lost connection" in log.read_text())
        fault.unlink()
        farm.wait_for_runs(1)
        run = farm.runs()[0]
        assert (run.status, run.attempts) == ("passed", 2), farm.describe()
