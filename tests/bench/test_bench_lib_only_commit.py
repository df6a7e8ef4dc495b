from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.lib_only_commit import findings, head
from bench.real_farm import Made, RealFarm, running

sys.path.insert(0, str(Path(__file__).parents[1] / "minifarm"))

from trunk import TrunkCommit, make_trunk

QUICK = Made(3.0, 2.0, clean=False, phases={"fetch": 0.5, "prove": 1.0})
SLOW = Made(200.0, 199.0, clean=True, phases={"fetch": 1.0, "compile": 190.0})


def test_what_is_found() -> None:
    found = findings(SLOW, [QUICK, QUICK], [SLOW])
    assert found.met
    assert found.comparisons[0].ratio.median == pytest.approx(0.015)
    assert [figure.what for figure in found.figures] == [
        "ours, fetch",
        "ours, prove",
        "ours, master and Buildbot",
        "the first build",
    ]
    assert not findings(QUICK, [QUICK], []).met


def test_commits_are_made_by_a_real_master_and_worker(tmp_path: Path) -> None:
    """With the miniature trunk, which has no ccache and no compiler to wait for."""
    (first,) = make_trunk(tmp_path / "source", [TrunkCommit("Begin", {"Lib/minifile.py": "VALUE = 1\n"})])
    farm = RealFarm(tmp_path, str(tmp_path / "source"))
    assert head(farm) == first
    with running(farm):
        assert farm.made(first, 120).clean
        quick = farm.made(farm.commit("Lib/minifile.py", "VALUE = 2\n"), 120)
        assert not quick.clean
        assert "replace" in quick.phases
        assert quick.worker_seconds < quick.seconds
        farm.forget_builds()
        assert farm.made(farm.commit("Lib/minifile.py", "VALUE = 3\n"), 120).clean
