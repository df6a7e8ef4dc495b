"""Every bench runs, at a size that says nothing about speed: no clock is looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def ran(tmp_path: Path, bench: str, *options: str) -> dict[str, Any]:
    """Run it as the page says, in a process of its own: Twisted's reactor runs once in each."""
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", "--json", str(out), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(out.read_text())
    for comparison in facts["comparisons"]:
        for side in ("ours", "peer"):
            assert comparison[side]["minimum"] > 0, comparison
    return facts


def test_results(tmp_path: Path) -> None:
    facts = ran(tmp_path, "results", "--tests", "50", "--runs", "2", "--rounds", "1")
    assert len(facts["comparisons"]) == 4
    assert facts["figures"][0]["median"] < 4_000, "an unchanged run costs rows, not outcomes"


def test_builds(tmp_path: Path) -> None:
    options = ("--projects", "6", "--real", "2", "--workers", "2", "--requests", "6", "--rounds", "1")
    facts = ran(tmp_path, "builds", *options, "--queue", "8", "--seconds", "2")
    assert facts["comparisons"][0]["aim"] == "at least 3"


@pytest.mark.minifarm
def test_dispatch(tmp_path: Path) -> None:
    sizes = ("--runs", "3", "--workers", "2", "--shortest", "0.1", "--longest", "0.3", "--rounds", "1")
    facts = ran(tmp_path, "dispatch", *sizes)
    assert all(comparison["ratio"]["median"] >= 1 for comparison in facts["comparisons"])
