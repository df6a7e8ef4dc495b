"""Whole runs of tiny projects: real environments, real processes, no network."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pybots_worker.contract import Ending, FolderSource, Limits, LocalInterpreter, RunResult
from pybots_worker.runs.environment import pins
from pybots_worker.runs.lock import is_hashed, make_lock
from tiny_projects import PASSES, UNITTEST, Bench, write_project, write_sdist, write_wheel


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def log_of(folder: Path) -> str:
    return zstandard.ZstdDecompressor().decompress((folder / "log.zst").read_bytes()).decode()


def test_run_that_passes(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    tests = PASSES + " def test_dep(self):\n  import dep, tiny; self.assertEqual(dep.VERSION, '1.0')\n"
    write_project(bench.source, "tiny", requires=("dep",), tests=tests)
    result, folder = bench.run(deselected=["test_it.T.test_a"])
    assert (result.ending, result.exit_status, result.signal, result.detail) == (Ending.EXITED, 0, "", "")
    assert [phase.name for phase in result.phases] == [
        "fetch interpreter",
        "fetch source",
        "create environment",
        "resolve",
        "install dependencies",
        "install project",
        "suite",
    ]
    assert all(phase.succeeded for phase in result.phases)
    assert RunResult.model_validate_json((folder / "result.json").read_text()) == result
    lines = [json.loads(line) for line in (folder / "report").read_text().splitlines()]
    assert [line["test"] for line in lines if "test" in line] == ["test_it.T.test_dep"]
    assert lines[-1] == {"end": True, "collected": 1, "deselected": 1}
    assert "=== install project\n" in log_of(folder)
    assert log_of(folder).endswith("exited\n")


def test_lock_is_installed_again_exactly(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_wheel(bench.links, "extra-dep", "1.0")
    write_wheel(bench.links, "tool", "1.0")
    extra = '[project.optional-dependencies]\nmore = ["extra-dep"]\n[dependency-groups]\ntest = ["grouped"]\n'
    write_wheel(bench.links, "grouped", "3.0")
    write_project(
        bench.source, "tiny", requires=("dep",), build_requires=("tool",), tests=PASSES, extra=extra
    )
    specification = bench.specification(extras=["more"], groups=["test"])
    first, _ = bench.carry_out(specification)
    assert first.lock
    assert pins(first.lock.requirements) == {"dep": "1.0", "extra-dep": "1.0", "grouped": "3.0"}
    assert pins(first.lock.build_constraints) == {"tool": "1.0"}
    assert "/" not in first.lock.requirements
    assert make_lock(first.lock.requirements, first.lock.build_constraints) == first.lock

    write_wheel(bench.links, "dep", "2.0")
    write_wheel(bench.links, "tool", "2.0")
    second, folder = bench.carry_out(specification.model_copy(update={"lock": first.lock}))
    assert (second.ending, second.lock) == (Ending.EXITED, first.lock)
    assert "resolve" not in [phase.name for phase in second.phases]
    assert "dep==1.0" in log_of(folder)
    assert "dep==2.0" not in log_of(folder)

    third, _ = bench.carry_out(specification)
    assert third.lock
    assert pins(third.lock.requirements)["dep"] == pins(third.lock.build_constraints)["tool"] == "2.0"
    assert third.lock.digest != first.lock.digest


def test_changed_package_is_not_the_locked_one(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",), tests=PASSES)
    first, _ = bench.run()
    write_wheel(bench.links, "dep", "1.0", files={"dep.py": "VERSION = 'forged'\n"})
    bench.folder.joinpath("cache").rename(bench.folder / "gone")
    second, _ = bench.run(lock=first.lock)
    assert second.ending is Ending.ENVIRONMENT_FAILED
    assert "hash" in second.detail.lower()


def test_project_sees_a_clean_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
        "UV_INDEX_URL",
        "PIP_INDEX_URL",
        "SECRET",
        "VIRTUAL_ENV",
    ):
        monkeypatch.setenv(name, "leaks")
    tests = """
import json, os, pathlib, sys, unittest
class T(unittest.TestCase):
    def test_environment(self):
        pathlib.Path("seen.json").write_text(json.dumps(dict(os.environ)))
        self.assertFalse(sys.dont_write_bytecode)
        self.assertEqual(os.listdir(os.environ["HOME"]), [])
"""
    write_project(bench.source, "tiny", tests=tests)
    result, folder = bench.run(environment={"OWN": "{source}"})
    assert result.exit_status == 0, log_of(folder)
    seen = json.loads((folder / "source" / "seen.json").read_text())
    assert "leaks" not in str(seen)
    assert {name for name in seen if name.startswith(("PYTHON", "UV_", "PIP_"))} == {"PYTHONPATH"}
    assert (seen["LANG"], seen["OWN"]) == ("C.UTF-8", str(folder / "source"))
    assert seen["HOME"].startswith(str(folder))
    assert seen["TMPDIR"].startswith(str(folder))
    assert seen["PATH"].startswith(str(folder / "venv" / "bin"))
    assert str(Path(sys.prefix) / "bin") not in seen["PATH"].split(os.pathsep)


HANGS = "import time, unittest\nclass T(unittest.TestCase):\n def test_a(self): time.sleep(600)\n"
SPINS = "import unittest\nclass T(unittest.TestCase):\n def test_a(self):\n  while True: pass\n"
CRASHES = "import os, unittest\nclass T(unittest.TestCase):\n def test_a(self): os.abort()\n"
FAILS = "import unittest\nclass T(unittest.TestCase):\n def test_a(self): self.fail()\n"


@pytest.mark.parametrize(
    ("project", "changes", "ending", "detail"),
    [
        ({"tests": FAILS}, {}, Ending.EXITED, ""),
        ({"tests": CRASHES}, {}, Ending.CRASHED, "the suite was ended by SIGABRT"),
        (
            {"tests": HANGS},
            {"limits": Limits(quiet_seconds=2)},
            Ending.QUIET_LIMIT,
            "the suite neither printed anything nor used the CPU for 2 s",
        ),
        ({"tests": SPINS}, {"limits": Limits(wall_seconds=3)}, Ending.WALL_LIMIT, "longer than 3 s"),
        (
            {"breaks": True},
            {},
            Ending.INSTALL_FAILED,
            "building the project failed: ext.c:1:1: error: unknown type name 'PyObjekt'; RuntimeError: the ext",
        ),
        ({"requires": ("nodep>2",)}, {}, Ending.ENVIRONMENT_FAILED, "Because nodep was not found"),
        ({"build_requires": ("nodep",)}, {}, Ending.ENVIRONMENT_FAILED, "nodep was not found"),
        (
            {"requires": ("broken",)},
            {},
            Ending.ENVIRONMENT_FAILED,
            "installing the dependencies (building broken==1.0) failed: ext.c:1:1: error: unknown type",
        ),
        ({}, {"source": FolderSource(path="/no/such/folder")}, Ending.FETCH_FAILED, "there is no folder"),
        (
            {},
            {"interpreter": LocalInterpreter(path="/no/python")},
            Ending.UNFIT,
            "python does not work on this",
        ),
        (
            {},
            {"interpreter": LocalInterpreter(path="/bin/false")},
            Ending.UNFIT,
            "false does not work on this",
        ),
        ({}, {"command": ["{pyton}"]}, Ending.INSTALL_FAILED, "unknown placeholder {pyton}"),
        ({}, {"command": ["no-such-runner"]}, Ending.INSTALL_FAILED, "cannot be started: no-such-runner"),
        ({}, {"directory": "../.."}, Ending.INSTALL_FAILED, "no folder '../..' to run the suite in"),
        ({}, {"extras": ["none"], "install": [["false"]]}, Ending.INSTALL_FAILED, "step `false` failed"),
        ({}, {"install": [["no-such-tool"]]}, Ending.INSTALL_FAILED, "cannot be started: no-such-tool"),
        (
            {},
            {"install": [["{uv}", "pip", "install", "nodep"]]},
            Ending.ENVIRONMENT_FAILED,
            "nodep was not found",
        ),
        (
            {"breaks": True},
            {"install": [["{uv}", "pip", "install", "{source}"]]},
            Ending.INSTALL_FAILED,
            "the extension does not compile",
        ),
    ],
)
def test_endings(
    bench: Bench, project: dict[str, Any], changes: dict[str, Any], ending: Ending, detail: str
) -> None:
    write_sdist(bench.links, "broken", "1.0", breaks=True)
    write_project(bench.source, "tiny", **{"tests": PASSES} | project)
    result, folder = bench.run(**changes)
    assert (result.ending, detail in result.detail) == (ending, True), result.detail + log_of(folder)
    assert (folder / "result.json").exists()
    if ending is Ending.CRASHED:
        assert (result.signal, result.exit_status) == ("SIGABRT", None)
        assert json.loads((folder / "report").read_text().splitlines()[-1]) == {"started": "test_it.T.test_a"}


def test_source_without_a_build_is_an_install_failure(bench: Bench) -> None:
    bench.source.mkdir()
    (bench.source / "test_it.py").write_text(PASSES)
    result, _ = bench.run()
    assert result.ending is Ending.INSTALL_FAILED
    assert "neither pyproject.toml nor setup.py" in result.detail
    result, _ = bench.run(install=[])
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0)


def test_own_steps_are_frozen_and_repeated(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", tests=PASSES)
    steps = [["{uv}", "pip", "install", "dep"], ["{uv}", "pip", "install", "--no-deps", "{source}"]]
    specification = bench.specification(install=steps)
    first, _ = bench.carry_out(specification)
    assert first.ending is Ending.EXITED
    assert first.lock
    assert pins(first.lock.requirements) == {"dep": "1.0"}
    assert is_hashed(first.lock.requirements)
    write_wheel(bench.links, "dep", "2.0")
    second, _ = bench.carry_out(specification.model_copy(update={"lock": first.lock}))
    assert (second.ending, second.lock) == (Ending.EXITED, first.lock)


def test_own_steps_that_leave_the_lock_are_told(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_wheel(bench.links, "other", "1.0")
    write_project(bench.source, "tiny", tests=PASSES)
    first, _ = bench.run(install=[["{uv}", "pip", "install", "dep"]])
    second, _ = bench.run(install=[["{uv}", "pip", "install", "dep", "other"]], lock=first.lock)
    assert second.ending is Ending.ENVIRONMENT_FAILED
    assert "not what the lock says: other is 1.0, and should be absent" in second.detail


def test_what_is_built_is_shared_by_one_interpreter_only_and_the_project_never(
    bench: Bench, tmp_path: Path
) -> None:
    builds = tmp_path / "builds"
    write_sdist(bench.links, "compiled", "1.0")
    write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES)
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    environment = {"BUILDS": str(builds)}
    for path in (sys.executable, sys.executable, str(other)):
        result, folder = bench.run(interpreter=LocalInterpreter(path=path), environment=environment)
        assert result.ending is Ending.EXITED, log_of(folder)
    assert builds.read_text().split().count("compiled") == 2
    assert builds.read_text().split().count("tiny") == 3


def test_subunit_report_is_what_the_suite_prints(bench: Bench) -> None:
    write_project(bench.source, "tiny")
    code = "import sys; sys.stdout.write('report' * 1000); sys.stderr.write('for the log')"
    result, folder = bench.run(
        command=["{python}", "-c", code], report="subunit", limits=Limits(report_bytes=1000)
    )
    assert (folder / "report").read_text() == ("report" * 1000)[:1000]
    assert (result.report_present, result.report_truncated) == (True, True)
    assert "for the log" in log_of(folder)
    assert "reportreport" not in log_of(folder)


@pytest.mark.parametrize(
    ("code", "present", "truncated"),
    [
        ("open(r'{report}', 'w').write('x' * 5000)", True, True),
        ("open(r'{report}', 'w').write('x' * 100)", True, False),
        ("import os; os.symlink('/etc/passwd', r'{report}')", False, False),
        ("import os; os.mkdir(r'{report}')", False, False),
        ("pass", False, False),
    ],
)
def test_report_is_bounded_and_no_link(bench: Bench, code: str, present: bool, truncated: bool) -> None:
    write_project(bench.source, "tiny")
    result, folder = bench.run(command=["{python}", "-c", code], limits=Limits(report_bytes=1000))
    assert (result.report_present, result.report_truncated) == (present, truncated)
    assert (folder / "report").exists() == present
    assert not present or (folder / "report").stat().st_size <= 1000


def test_log_is_bounded(bench: Bench) -> None:
    write_project(bench.source, "tiny")
    result, folder = bench.run(
        command=["{python}", "-c", "print('x' * 100000)"], limits=Limits(log_bytes=10_000)
    )
    assert result.log_truncated
    assert len(log_of(folder)) < 11_000
    assert "bytes left out" in log_of(folder)


def test_full_disk_is_the_machines_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.runs.carry_out.FREE_BYTES_BEFORE", 1 << 60)
    write_project(bench.source, "tiny")
    result, _ = bench.run(command=UNITTEST)
    assert result.ending is Ending.UNFIT
    assert "the disk is full" in result.detail
