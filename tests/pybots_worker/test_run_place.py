"""What the programs of a run see of the worker: its indexes, its PATH, our reporters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Packages
from pybots_worker.runs.place import UNDER_TEST, Place
from pybots_worker.runs.scratch import make_scratch, remove_scratch
from tiny_projects import Bench

INDEX = "https://index.example/simple"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def place(bench: Bench, **packages: object) -> Place:
    folder = bench.folder / "run"
    folder.mkdir()
    specification = bench.specification(packages=Packages(**packages))  # type: ignore[arg-type]
    made = Place(specification, folder, bench.folder / "cache", BoundedLog(100, 100))
    made.prepare()
    remove_scratch(folder)
    return made


@pytest.mark.parametrize(
    ("ours", "pips"),
    [
        ({"PIP_INDEX_URL": INDEX}, INDEX),
        ({"UV_DEFAULT_INDEX": INDEX}, INDEX),
        ({"UV_DEFAULT_INDEX": f"own={INDEX}?a=b"}, f"{INDEX}?a=b"),
        ({"UV_DEFAULT_INDEX": f"{INDEX}?a=b"}, f"{INDEX}?a=b"),
        ({"UV_DEFAULT_INDEX": "https://other.example", "PIP_INDEX_URL": INDEX}, INDEX),
    ],
)
def test_pip_in_a_recipes_step_has_the_workers_index(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ours: dict[str, str], pips: str
) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, text in (ours | {"PIP_CERT": "/certificates"}).items():
        monkeypatch.setenv(name, text)
    made = place(bench)
    seen = made.install_environment(bench.folder / "uv")
    assert (seen["PIP_INDEX_URL"], seen["PIP_CERT"]) == (pips, "/certificates")
    assert not [name for name in made.suite_environment() if name.startswith(("PIP_", "UV_"))]


def test_offline_there_is_no_index(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    seen = place(bench, offline=True).install_environment(bench.folder / "uv")
    assert "PIP_INDEX_URL" not in seen
    assert seen["PIP_NO_INDEX"] == "1"


def test_worker_in_the_systems_python_keeps_the_systems_programs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = place(bench)
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    assert made.clean_environment()["PATH"].split(os.pathsep)[1:] == ["/usr/local/bin", "/usr/bin", "/bin"]
    monkeypatch.setattr(sys, "prefix", "/usr/local")  # an environment of our own
    assert made.clean_environment()["PATH"].split(os.pathsep)[1:] == ["/usr/bin", "/bin"]


def test_reporters_are_the_runs_own(bench: Bench) -> None:
    """A compiled file that a project writes beside them is found by nobody else."""
    made = place(bench)
    names = {path.name for path in made.under_test.iterdir()}
    assert names == {path.name for path in UNDER_TEST.glob("*.py")} - {"pybots_proof.py"}
    assert made.suite_environment()["PYTHONPATH"] == str(made.under_test)


def test_temporary_folder_has_a_short_name_and_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("long" * 20)))
    made = make_scratch(tmp_path)
    try:
        assert len(str(made)) < 40
        assert made.stat().st_mode & 0o777 == 0o700
    finally:
        remove_scratch(tmp_path)
    assert not made.exists()
