"""Whole runs of tiny projects: real environments, real processes, no network."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pybots_worker.contract import Ending, FolderSource, Limits, LocalInterpreter, RunResult
from pybots_worker.runs.environment import pins
from pybots_worker.runs.lock import make_lock
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
        "create environment",
        "fetch source",
        "build project",
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
    assert {name for name in seen if name.startswith(("PYTHON", "UV_", "PIP_"))} == {
        "PYTHONPATH",
        "PYTHONFAULTHANDLER",
    }
    assert (seen["LANG"], seen["OWN"]) == ("C.UTF-8", str(folder / "source"))
    assert seen["HOME"].startswith(str(folder))
    assert len(seen["TMPDIR"]) < 107 - 32 - 30, "multiprocessing's sockets fit, and a test's own names"
    assert not (folder / "tmp").readlink().exists()
    assert Path(seen["PYTHONPATH"]).is_relative_to(folder)
    assert seen["PATH"].startswith(str(folder / "venv" / "bin"))
    assert str(Path(sys.prefix) / "bin") not in seen["PATH"].split(os.pathsep)


STARTS_ALONE = """case "$*" in *version*json*|*json*version*) echo '"3.15"'; exit 0;; esac
echo 'Fatal Python error: init_import_site' >&2; exit 1
"""
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
            "building broken==1.0 failed: ext.c:1:1: error: unknown type name 'PyObjekt'; RuntimeError: the ext",
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
        (
            {},
            {"interpreter": LocalInterpreter(path="{folder}/no-uv")},
            Ending.ENVIRONMENT_FAILED,
            "creating the environment failed",
        ),
        ({}, {"command": ["./not-a-program"]}, Ending.INSTALL_FAILED, "./not-a-program: Exec format error"),
        ({}, {"command": ["./file/program"]}, Ending.INSTALL_FAILED, "./file/program: Not a directory"),
        ({}, {"command": ["./circle"]}, Ending.INSTALL_FAILED, "./circle: Too many levels"),
        ({}, {"directory": "circle"}, Ending.INSTALL_FAILED, "no folder 'circle'"),
        ({}, {"install": [["./not-a-program"]]}, Ending.INSTALL_FAILED, "./not-a-program: Exec format error"),
        ({}, {"install": [["./circle"]]}, Ending.INSTALL_FAILED, "./circle: Too many levels"),
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
    (bench.source / "not-a-program").write_bytes(b"\x7fELF and no more")
    (bench.source / "not-a-program").chmod(0o755)
    (bench.source / "file").write_text("")
    (bench.source / "circle").symlink_to("circle")
    shim = bench.folder / "no-uv"
    shim.write_text("#!/bin/sh\n" + STARTS_ALONE)
    shim.chmod(0o755)
    if getattr(changes.get("interpreter"), "path", "") == "{folder}/no-uv":
        changes = {"interpreter": LocalInterpreter(path=str(shim))}
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
    assert "--hash=sha256:" in first.lock.requirements
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
    assert "other was not found" in second.detail
    third, _ = bench.run(install=[["{uv}", "pip", "uninstall", "dep"]], lock=first.lock)
    assert third.ending is Ending.ENVIRONMENT_FAILED
    assert "not what the lock says: dep is absent, and should be 1.0" in third.detail


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


def test_disk_that_was_full_for_a_while_is_the_machines_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(bench.source, "tiny", tests=PASSES)
    monkeypatch.setattr("pybots_worker.runs.carry_out.FREE_BYTES_DURING", 1 << 60)
    result, _ = bench.run()
    assert result.ending is Ending.UNFIT
    assert "the disk was full during the suite" in result.detail


@pytest.mark.parametrize(("killed", "ending"), [(0, Ending.CRASHED), (1, Ending.UNFIT)])
def test_suite_killed_because_memory_ran_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, killed: int, ending: Ending
) -> None:
    """On a machine without control groups, where the kernel's one number is all that there is."""
    kills = itertools.count(7, killed)
    monkeypatch.setattr("pybots_worker.processes.open_group", lambda *_limits: None)
    monkeypatch.setattr("pybots_worker.watch.out_of_memory_kills", lambda: next(kills))
    code = "import os; os.kill(os.getpid(), 9)"
    write_project(bench.source, "tiny", tests=PASSES)
    result, _ = bench.run(command=["{python}", "-c", code])
    assert (result.ending, result.signal) == (ending, "SIGKILL")
    result, _ = bench.run(install=[["{python}", "-c", f"{code}; print()"]])
    assert result.ending is (Ending.UNFIT if killed else Ending.INSTALL_FAILED)
    assert ("memory" in result.detail) == bool(killed)


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ("503 Server Error: Service Unavailable for url", Ending.UNFIT),
        ("404 Client Error: Not Found for url", Ending.ENVIRONMENT_FAILED),
    ],
)
def test_what_pip_tells_its_log_alone_is_read(bench: Bench, answer: str, ending: Ending) -> None:
    code = "import os, sys; from pathlib import Path\n"
    code += f"Path(os.environ['PIP_LOG']).write_text('2026 Could not fetch URL http://i/x/: {answer} - skipping')\n"
    code += "sys.exit('ERROR: No matching distribution found for x')"
    write_project(bench.source, "tiny", tests=PASSES)
    result, folder = bench.run(install=[["{python}", "-c", code]])
    assert result.ending is ending, log_of(folder)


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=T", "-c", "user.email=t@t.example")
    command = ["git", *names, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("own_steps", [True, False])
def test_distribution_from_a_commit_is_in_the_lock(bench: Bench, own_steps: bool) -> None:
    repository = write_project(bench.folder / "repository", "dep")
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "1")
    commit = git(repository, "rev-parse", "HEAD")
    asked = f"dep @ git+{repository.as_uri()}"
    write_project(bench.source, "tiny", tests=PASSES)
    steps = [["{uv}", "pip", "install", asked], ["{uv}", "pip", "install", "--no-deps", "{source}"]]
    changes: dict[str, Any] = {"install": steps} if own_steps else {"requirements": [asked]}
    first, folder = bench.run(**changes)
    assert first.ending is Ending.EXITED, log_of(folder)
    assert first.lock
    assert pins(first.lock.requirements) == {"dep": f"git+{repository.as_uri()}@{commit}"}
    second, folder = bench.run(**changes, lock=first.lock)
    assert (second.ending, second.lock) == (Ending.EXITED, first.lock), log_of(folder)


def test_lock_that_would_be_incomplete_is_none(bench: Bench) -> None:
    elsewhere = write_project(bench.folder / "elsewhere", "dep")
    write_project(bench.source, "tiny", tests=PASSES)
    result, folder = bench.run(install=[["{uv}", "pip", "install", str(elsewhere), "{source}"]])
    assert (result.ending, result.lock) == (Ending.EXITED, None)
    assert "no lock: dep @ file://" in log_of(folder)


def test_full_disk_is_the_machines_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.runs.carry_out.FREE_BYTES_BEFORE", 1 << 60)
    write_project(bench.source, "tiny")
    result, _ = bench.run(command=UNITTEST)
    assert result.ending is Ending.UNFIT
    assert "the disk is full" in result.detail
