"""Whole runs on a machine that is not well: what happened to it is never the project's."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.contract import Ending, Limits, StoredInterpreter
from tiny_projects import PASSES, Bench, write_project

CHILD_KILLED = """
import os, subprocess, sys, unittest
class T(unittest.TestCase):
    def test_a(self):
        kill = "import os; os.kill(os.getpid(), 9)"
        self.assertEqual(subprocess.run([sys.executable, "-c", kill]).returncode, 0)
"""
SAYS_FULL = """
import unittest
class T(unittest.TestCase):
    def test_a(self): raise OSError(28, "No space left on device")
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(("killed", "ending"), [(0, Ending.EXITED), (1, Ending.UNFIT)])
def test_child_of_the_suite_killed_because_memory_ran_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, killed: int, ending: Ending
) -> None:
    """On a machine without control groups, where the kernel's one number is all that there is."""
    kills = itertools.count(7, killed)
    monkeypatch.setattr("pybots_worker.processes.open_group", lambda *_limits: None)
    monkeypatch.setattr("pybots_worker.watch.out_of_memory_kills", lambda: next(kills))
    write_project(bench.source, "tiny", tests=CHILD_KILLED)
    result, _ = bench.run()
    assert result.ending is ending
    assert ("memory" in result.detail) == bool(killed)


def test_memory_that_ran_out_beside_a_suite_that_passed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = itertools.count(7)
    monkeypatch.setattr("pybots_worker.processes.open_group", lambda *_limits: None)
    monkeypatch.setattr("pybots_worker.watch.out_of_memory_kills", lambda: next(kills))
    write_project(bench.source, "tiny", tests=PASSES)
    assert bench.run()[0].ending is Ending.EXITED


def test_suite_that_speaks_of_a_full_disk_is_not_believed(bench: Bench) -> None:
    write_project(bench.source, "tiny", tests=SAYS_FULL)
    result, _ = bench.run()
    assert (result.ending, result.exit_status) == (Ending.EXITED, 1)


def test_build_that_speaks_of_a_full_disk_is_not_believed(bench: Bench) -> None:
    write_project(bench.source, "tiny", code="raise OSError(28, 'No space left on device')")
    result, _ = bench.run()
    assert result.ending is Ending.INSTALL_FAILED
    assert "No space left on device" in result.detail


def test_store_that_does_not_answer(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    write_project(bench.source, "tiny", tests=PASSES)
    stored = StoredInterpreter(digest="1" * 64, url=f"http://127.0.0.1:{port}/interpreters")
    result, _ = bench.run(interpreter=stored)
    assert (result.ending, result.phases[-1].name) == (Ending.UNFIT, "fetch interpreter")


def _no_python(folder: Path) -> None:
    """Nothing in it."""


def _empty_python(folder: Path) -> None:
    (folder / "bin" / "python3.15").touch(mode=0o755)


def _not_executable(folder: Path) -> None:
    (folder / "bin" / "python3.15").touch(mode=0o644)


def _broken_python(folder: Path) -> None:
    (folder / "bin" / "python3.15").write_bytes(b"\x7fELF" + bytes(100))
    (folder / "bin" / "python3.15").chmod(0o755)


@pytest.mark.parametrize("spoil", [_no_python, _empty_python, _not_executable, _broken_python])
def test_artifact_that_cannot_be_read(bench: Bench, spoil: Any) -> None:
    digest = "2" * 64
    laid_out = bench.folder / "cache" / "interpreters" / digest
    (laid_out / "bin").mkdir(parents=True)
    laid_out.with_name(f"{digest}.proven").touch()
    spoil(laid_out)
    write_project(bench.source, "tiny", tests=PASSES)
    stored = StoredInterpreter(digest=digest, url="http://127.0.0.1:1/interpreters")
    result, _ = bench.run(interpreter=stored, limits=Limits(prepare_seconds=60))
    assert (result.ending, result.phases[-1].name) == (Ending.UNFIT, "fetch interpreter"), result.detail


def test_quota_that_is_used_up_during_the_suite(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free is not what this account may use: seen by writing, once something has failed."""
    write_project(bench.source, "tiny", tests=SAYS_FULL)
    monkeypatch.setattr("pybots_worker.runs.measured.is_full", lambda folder: folder.name == "ours")
    result, _ = bench.run()
    assert result.ending is Ending.UNFIT
    assert result.detail.startswith("the disk is full: nothing can be written to /")
    write_project(bench.source, "tiny", tests=PASSES)
    assert bench.run()[0].ending is Ending.EXITED
