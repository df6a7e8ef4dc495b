"""What this machine is blamed for, and what not: measured, whatever a program printed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import (
    Ending,
    GitSource,
    Limits,
    LocalInterpreter,
    Packages,
    RunSpecification,
    StoredInterpreter,
)
from pybots_worker.processes import Finished
from pybots_worker.runs import measured
from pybots_worker.runs.explain import Explanation, Trouble
from pybots_worker.runs.measured import as_measured, is_full, only_this_host
from pybots_worker.runs.place import Place
from pybots_worker.runs.sound import ClockWatch, unless_clock_jumped

ROOM = Finished(1, "", "exited", 1.0, False, free_bytes=10**10)
NO_ROOM = Finished(1, "", "exited", 1.0, False, free_bytes=10**6)


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def place_for(folder: Path, **changes: Any) -> Place:
    fields: dict[str, Any] = {
        "key": "k",
        "project": "p",
        "source": GitSource(url="https://git.example/p.git", ref="main"),
        "interpreter": LocalInterpreter(path=sys.executable),
        "command": ["true"],
        "report": "unittest",
        "limits": Limits(),
    }
    place = Place(
        RunSpecification(**fields | changes), folder / "run", folder / "cache", BoundedLog(1000, 1000)
    )
    place.cache.mkdir()
    place.prepare()
    return place


@pytest.mark.parametrize(
    ("finished", "full", "printed", "trouble"),
    [
        (ROOM, False, Trouble.DISK, Trouble.OTHER),
        (ROOM, True, Trouble.DISK, Trouble.DISK),
        (NO_ROOM, False, Trouble.DISK, Trouble.DISK),
        (NO_ROOM, False, Trouble.BUILD, Trouble.DISK),
        (ROOM, True, Trouble.BUILD, Trouble.BUILD),
    ],
)
def test_disk_is_full_where_there_is_no_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finished: Finished,
    full: bool,
    printed: Trouble,
    trouble: Trouble,
) -> None:
    monkeypatch.setattr(measured, "is_full", lambda folder: full)
    explanation = Explanation(printed, "No space left on device")
    assert as_measured(place_for(tmp_path), finished, explanation).trouble is trouble


def test_room_is_measured_by_writing(tmp_path: Path) -> None:
    assert not is_full(tmp_path)
    assert not is_full(tmp_path / "absent")
    program = f"""
import pathlib
from pybots_worker.fault_disk import small_file_system
from pybots_worker.runs.measured import is_full
with small_file_system(pathlib.Path({str(tmp_path / "small")!r}), 100_000_000) as disk:
    print(is_full(disk.folder), end=" ")
    disk.fill()
    print(is_full(disk.folder))
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout == "False True\n"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


GIT_DOWN = "unable to access 'https://git.example/p.git/': Could not resolve host: git.example"


@pytest.mark.parametrize(
    ("index_is_there", "said", "host"),
    [
        (True, GIT_DOWN, "git.example"),
        (True, "Could not resolve host: GIT.example", "git.example"),
        (False, GIT_DOWN, ""),
        (True, "error sending request for url (https://files.example/x.whl)", ""),
        (True, "error sending request for url (http://127.0.0.1:1/simple/)", ""),
    ],
)
def test_one_host_is_told_from_the_whole_network(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listening: int,
    closed: int,
    index_is_there: bool,
    said: str,
    host: str,
) -> None:
    for name in (*os.environ,):
        if name.lower().endswith("_proxy") or name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(
        "UV_DEFAULT_INDEX", f"http://127.0.0.1:{listening if index_is_there else closed}/simple"
    )
    found = as_measured(place_for(tmp_path), ROOM, Explanation(Trouble.NETWORK, said))
    assert found.trouble is (Trouble.RESOLVE if host else Trouble.NETWORK)
    if host:
        assert found.reason.startswith(f"{host} cannot be reached, and everything else can: ")


def test_master_that_is_gone_is_the_whole_network(tmp_path: Path, listening: int, closed: int) -> None:
    for port, host in ((listening, "git.example"), (closed, "")):
        stored = StoredInterpreter(digest="0" * 64, url=f"http://127.0.0.1:{port}/interpreters")
        (folder := tmp_path / str(port)).mkdir()
        place = place_for(folder, interpreter=stored, packages=Packages(offline=True))
        assert only_this_host(place, GIT_DOWN) == host


def test_master_in_this_network_says_nothing_of_the_way_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    stored = StoredInterpreter(digest="0" * 64, url=f"http://127.0.0.1:{listening}/interpreters")
    place = place_for(tmp_path, interpreter=stored)
    assert only_this_host(place, GIT_DOWN) == ""
    monkeypatch.setattr(measured, "is_public", lambda address: True)
    assert only_this_host(place, GIT_DOWN) == "git.example"


def test_without_anything_to_compare_with_it_is_the_network(tmp_path: Path) -> None:
    place = place_for(tmp_path, packages=Packages(offline=True))
    assert only_this_host(place, GIT_DOWN) == ""


@pytest.mark.parametrize(
    "url", ["git@git.example:p.git", "ssh://git@git.example/p.git", "git://git.example/p"]
)
def test_git_has_many_addresses(tmp_path: Path, listening: int, url: str) -> None:
    stored = StoredInterpreter(digest="0" * 64, url=f"http://127.0.0.1:{listening}/interpreters")
    place = place_for(
        tmp_path, source=GitSource(url=url, ref="m"), interpreter=stored, packages=Packages(offline=True)
    )
    assert (
        only_this_host(place, "ssh: connect to host git.example port 22: Connection refused") == "git.example"
    )


@pytest.mark.parametrize(
    ("wall", "ending", "detail"),
    [
        (100.0, Ending.EXITED, "it left 1 process running: sleep"),
        (104.0, Ending.EXITED, "it left 1 process running: sleep"),
        (
            7300.0,
            Ending.UNFIT,
            "the clock went forward by 7200 s during the run (exited: it left 1 process running: sleep)",
        ),
        (
            -20.0,
            Ending.UNFIT,
            "the clock went back by 120 s during the run (exited: it left 1 process running: sleep)",
        ),
    ],
)
def test_clock_is_watched(wall: float, ending: Ending, detail: str) -> None:
    walls, steadies = iter([1000.0, 1000.0 + wall]), iter([5.0, 105.0])
    clock = ClockWatch(lambda: next(walls), lambda: next(steadies))
    assert unless_clock_jumped(clock, Ending.EXITED, "it left 1 process running: sleep") == (ending, detail)


def test_quota_counts_as_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    assert is_full(tmp_path)
    assert list(tmp_path.iterdir()) == []
