"""Faults that are made on purpose, through the worker's own command: real ENOSPC, a real connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pybots_worker import faults
from pybots_worker.contract import RESULT_FILE, SPECIFICATION_FILE, Ending, RunResult
from pybots_worker.faults import Asked, Fault
from tiny_projects import Bench, write_project, write_wheel


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (None, None),
        ("", None),
        ("\n", None),
        ("disk-full\n", (Fault.DISK_FULL, "suite")),
        ("network-lost", (Fault.NETWORK_LOST, "suite")),
        ("clock-jump fetch source\n", (Fault.CLOCK_JUMP, "fetch source")),
    ],
)
def test_what_is_asked_for(tmp_path: Path, text: str | None, asked: tuple[Fault, str] | None) -> None:
    file = tmp_path / "fault"
    if text is not None:
        file.write_text(text)
    wanted = Asked(*asked, file) if asked else None
    assert faults.asked_for({faults.VARIABLE: str(file)}) == wanted
    assert faults.asked_for({}) is None


def test_a_fault_that_there_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fault").write_text("fire")
    with pytest.raises(ValueError, match="fire"):
        faults.asked_for({faults.VARIABLE: str(tmp_path / "fault")})


WRITES = """
import unittest
class T(unittest.TestCase):
    def test_a(self):
        with open("written", "wb") as file: file.write(bytes(10_000_000))
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",), tests=WRITES)
    return bench


def run_with(bench: Bench, fault: str) -> tuple[RunResult, str]:
    """Have the command carry out a run, as a master has a worker do it."""
    folder, file = bench.folder / "job", bench.folder / "fault"
    folder.mkdir(exist_ok=True)
    file.write_text(fault)
    (folder / SPECIFICATION_FILE).write_text(bench.specification().model_dump_json())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pybots_worker.commands",
            "run",
            str(folder),
            "--cache",
            str(bench.folder / "cache"),
        ],
        env=os.environ | {faults.VARIABLE: str(file)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return RunResult.model_validate_json((folder / RESULT_FILE).read_bytes()), done.stdout


@pytest.mark.parametrize(
    "phase", ["create environment", "build project", "resolve", "install dependencies", "suite"]
)
def test_disk_that_fills_up_is_the_workers_fault(bench: Bench, phase: str) -> None:
    result, said = run_with(bench, f"disk-full {phase}")
    assert (result.ending, result.phases[-1].name) == (Ending.UNFIT, phase), said
    assert "the disk" in result.detail
    assert (bench.folder / "job" / "log.zst").stat().st_size > 0
    again, said = run_with(bench, "")
    assert (again.ending, again.exit_status) == (Ending.EXITED, 0), said


def test_clock_that_jumps_is_the_workers_fault(bench: Bench) -> None:
    result, _said = run_with(bench, "clock-jump")
    assert result.ending is Ending.UNFIT
    assert result.detail.startswith("the clock went forward by 14400 s during the run (exited")
    result, _said = run_with(bench, "clock-jump no such phase")
    assert result.ending is Ending.EXITED


def test_disk_is_small_for_this_process_alone(tmp_path: Path) -> None:
    """In a process of its own, which keeps its namespaces."""
    program = f"""
import errno, pathlib
from pybots_worker.fault_disk import small_file_system
with small_file_system(pathlib.Path({str(tmp_path / "small")!r}), 1_000_000_000) as disk:
    (disk.folder / "before").write_bytes(bytes(100_000))
    disk.fill()
    try:
        (disk.folder / "after").write_bytes(bytes(100_000))
    except OSError as error:
        assert error.errno == errno.ENOSPC
        print("full")
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout == "full\n"
    assert list((tmp_path / "small").iterdir()) == []


CONNECTION = """
import sys
from pathlib import Path
from types import SimpleNamespace
from twisted.internet import protocol, reactor
from pybots_worker import faults

class Master(protocol.Protocol):
    def connectionLost(self, reason):
        print(reason.type.__name__, flush=True)
        reactor.stop()

class Worker(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
        broker = SimpleNamespace(transport=self.transport)
        faults.cut_when_asked(SimpleNamespace(bf=SimpleNamespace(perspective=SimpleNamespace(broker=broker))))
        print("connected", flush=True)

port = reactor.listenTCP(0, protocol.Factory.forProtocol(Master), interface="127.0.0.1")
reactor.connectTCP("127.0.0.1", port.getHost().port, protocol.ClientFactory.forProtocol(Worker))
reactor.run()
"""


def test_connection_is_cut_when_a_run_asks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "fault"
    worker = subprocess.Popen(
        [sys.executable, "-c", CONNECTION],
        env=os.environ | {faults.VARIABLE: str(file)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout
        assert worker.stdout.readline() == "connected\n"
        file.write_text("network-lost")
        began = time.monotonic()
        run = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from pathlib import Path\nfrom pybots_worker import faults\n"
                "with faults.made(Path()) as conditions: conditions.announce('suite', None)",
            ],
            env=os.environ | {faults.VARIABLE: str(file)},
        )
        try:
            assert worker.stdout.readline() in {"ConnectionLost\n", "ConnectionDone\n"}
            assert time.monotonic() - began < 30
            assert run.poll() is None, "it waits for its worker to end it"
        finally:
            run.kill()
            run.wait()
        assert worker.wait(30) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fault"]
