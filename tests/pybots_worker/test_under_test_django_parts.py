"""`pybots_django_parts`, with a `runtests.py` that stands for Django's: six folders, one test in each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UNDER_TEST = Path(__file__).resolve().parents[2] / "workers" / "pybots_worker" / "under_test"

RUNTESTS = """\
import os, sys
import pybots_report

def get_test_modules(gis_enabled):
    assert gis_enabled is False
    yield from ["f", "b", "a", "d", "c", "e"]

if __name__ == "__main__":
    option, *folders = sys.argv[1:]
    assert option == "--noinput"
    report = pybots_report.open_report("django")
    for folder in folders:
        report.write({"test": folder, "outcome": "passed", "seconds": 0.0})
        if folder == os.environ.get("CRASHES"):
            os.kill(os.getpid(), 11)
    report.end(len(folders) + 1, 1)
    sys.exit(1 if os.environ.get("FAILS") in folders else 0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runtests.py").write_text(RUNTESTS)
    return tmp_path


def run(folder: Path, parts: int, **variables: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status and the report's lines."""
    report = folder / "report"
    environment = os.environ | {"PYTHONPATH": str(UNDER_TEST), "PYBOTS_REPORT": str(report)} | variables
    command = [sys.executable, "-m", "pybots_django_parts", str(parts), "runtests.py", "--noinput"]
    finished = subprocess.run(command, cwd=folder, env=environment, timeout=120, check=False)
    return finished.returncode, [json.loads(line) for line in report.read_text().splitlines()]


@pytest.mark.parametrize("parts", [1, 4, 6])
def test_the_parts_are_one_report_of_every_folder(folder: Path, parts: int) -> None:
    status, lines = run(folder, parts)
    assert status == 0
    assert lines[0] == {"pybots": 1, "kind": "django"}
    assert sorted(line["test"] for line in lines[1:-1]) == ["a", "b", "c", "d", "e", "f"]
    assert lines[-1] == {"end": True, "collected": 6 + parts, "deselected": parts}


def test_a_part_that_fails_stops_no_other_one(folder: Path) -> None:
    status, lines = run(folder, 3, FAILS="a")
    assert status == 1
    assert len(lines) == 8
    assert "end" in lines[-1]


def test_a_part_that_crashes_ends_the_run_as_it_ended_itself(folder: Path) -> None:
    status, lines = run(folder, 3, CRASHES="e")
    assert status == -signal.SIGSEGV
    assert [line["test"] for line in lines[1:]] == ["a", "d", "b", "e"]


@pytest.mark.parametrize(
    ("asked", "folders"),
    [
        (["b.tests.T.test_a", "setUpClass (e.tests.T)", "gone.tests.T.test_a"], ["b", "e"]),
        (["gone.tests.T.test_a"], []),
        (["aa.tests.T.test_a", "c"], ["c"]),
        ([], ["a", "b", "c", "d", "e", "f"]),
    ],
)
def test_only_the_folders_of_asked_tests_are_run(folder: Path, asked: list[str], folders: list[str]) -> None:
    (folder / "asked.json").write_text(json.dumps(asked))
    variables = {"PYBOTS_TESTS": str(folder / "asked.json"), "PYBOTS_SELECTED": str(folder / "selected")}
    status, lines = run(folder, 4, **variables)
    assert status == 0
    assert sorted(line["test"] for line in lines[1:-1]) == folders
    assert "end" in lines[-1]
    assert (folder / "selected").exists() or not asked, "the parts' own runner says so"
