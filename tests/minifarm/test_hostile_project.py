"""Projects that attack their machine, through a real master and real workers, while another run goes on beside them."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import ATTACKERS, ATTACKS, beside, looks
from sqlalchemy import select

from minifarm import MiniFarm, running
from pybots.commands.master_process import reconfigure_master
from pybots.database.tables import WorkerRow

BARE = "without-a-sandbox"
pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(300)]


class Listener:
    """A listening socket on this machine; the first that connects is told to look when `release` is called."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self.connected = threading.Event()
        self._released = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def release(self) -> None:
        self._released.set()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            self.connections += 1
            self.connected.set()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        self._released.wait(200)
        with connection:
            connection.sendall(b"look")


@pytest.fixture(scope="module")
def attacked(
    trunk: tuple[Path, list[str]], wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[MiniFarm, Listener]]:
    """A farm on which every hostile project ran while one run went on beside them, and then was told to look."""
    folder = tmp_path_factory.mktemp("hostile")
    own = folder / "cpython.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(trunk[0]), str(own)], check=True, timeout=60)
    _move(own, trunk[1][0])
    listener = Listener()
    bare = {BARE: {"PYBOTS_BUBBLEWRAP": "/no/bubblewrap"}}
    workers = ("one", "two", "three", BARE)
    farm = MiniFarm(folder, own, packages=wheelhouse, workers=workers, variables=bare)
    beside(listener.port).write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait("the run beside to begin", listener.connected.is_set, 90)
        for project in [*ATTACKERS, _looks(farm, listener.port)]:
            project.write(farm.recipes, farm.sources)
        reconfigure_master(farm.root, timeout=60)
        _move(own, trunk[1][2])
        farm.wait("every attack to end", lambda: _ended(farm) == {*ATTACKS, "looks-for-secrets"}, 120)
        listener.release()
        farm.wait_for_runs(len(ATTACKS) + 3)
        yield farm, listener


def _looks(farm: MiniFarm, port: int):  # type: ignore[no-untyped-def]
    homes = [farm.folder / "workers" / name for name in farm.workers]
    passwords = [
        *(home / "password" for home in homes),
        *(farm.root / "secrets" / name for name in farm.workers),
    ]
    folders = [
        farm.root,
        *(home / "worker" for home in homes),
        *(path for home in homes for path in home.glob("worker/*")),
    ]
    pids = [process.pid for process in farm.processes.values()]
    return looks(
        ":".join(map(str, passwords)),
        ":".join(str(path) for path in folders if path.is_dir()),
        ":".join(map(str, [*farm.ports, port])),
        ":".join(map(str, [*pids, os.getpid()])),
    )


def _move(trunk: Path, commit: str) -> None:
    subprocess.run(["git", "update-ref", "refs/heads/main", commit], cwd=trunk, check=True, timeout=30)


def _ended(farm: MiniFarm) -> set[str]:
    names = {run.key.split("~")[0] for run in farm.runs() if run.state == "finished"}
    return names - {"beside"}


@pytest.mark.parametrize("project", sorted(ATTACKS))
def test_attack_is_stopped_and_named(attacked: tuple[MiniFarm, Listener], project: str) -> None:
    status, said = ATTACKS[project]
    run = next(run for run in attacked[0].runs() if run.key.startswith(f"{project}~"))
    assert (run.status, said in run.detail) == (status, True), run.detail


def test_nothing_outside_of_the_sandbox_is_reached(attacked: tuple[MiniFarm, Listener]) -> None:
    farm, listener = attacked
    run = next(run for run in farm.runs() if run.key.startswith("looks-for-secrets~"))
    assert (run.status, run.passed) == ("passed", 5), run.detail
    assert not list(farm.folder.rglob("planted"))
    assert listener.connections == 2  # the two runs that had asked for the network


def test_run_beside_noticed_nothing(attacked: tuple[MiniFarm, Listener]) -> None:
    runs = [run for run in attacked[0].runs() if run.key.startswith("beside~")]
    assert [(run.status, run.detail, run.attempts) for run in runs] == [("passed", "", 1)] * 2


def test_worker_without_a_sandbox_has_no_runs_and_says_why(attacked: tuple[MiniFarm, Listener]) -> None:
    farm, _ = attacked
    assert BARE not in {run.worker for run in farm.runs()}
    with farm.sessions.reading() as session:
        said = {row.name: (row.connected, row.sandbox) for row in session.scalars(select(WorkerRow))}
    assert said.pop(BARE)[0]
    assert set(said.values()) == {(True, "")}
    with farm.sessions.reading() as session:
        row = session.get_one(WorkerRow, BARE)
        assert row.sandbox.startswith(
            "takes no project runs: this machine has no sandbox: bubblewrap is missing"
        )


def test_nothing_of_the_attacks_is_left(attacked: tuple[MiniFarm, Listener]) -> None:
    left = [
        path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x003593" in _read(path)
    ]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
