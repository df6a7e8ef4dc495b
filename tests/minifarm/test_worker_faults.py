"""A fault made on purpose on a real worker of a real farm; story 12 has the two others."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniprojects import PASSES

from minifarm import MiniFarm, running
from pybots_worker.faults import VARIABLE

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]


def test_worker_whose_clock_jumps_says_that_it_is_unfit(
    trunk: tuple[Path, list[str]], tmp_path: Path
) -> None:
    fault = tmp_path / "fault"
    fault.write_text("clock-jump\n")
    farm = MiniFarm(tmp_path, trunk[0], workers=("one",), variables={"one": {VARIABLE: str(fault)}})
    PASSES.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait("the jump", lambda: any(run.status == "worker-unfit" for run in farm.runs()), seconds=300)
    run = next(run for run in farm.runs() if run.status == "worker-unfit")
    assert run.detail.startswith("the clock went forward")
