"""A farm with a real master and real Buildbot workers, whose runs do nothing but sleep."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from bench import stand_in
from pybots.commands.master_process import start_master, stop_master
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import InterpreterRow, RunRow
from pybots_worker import buildbot_worker

Found = TypeVar("Found")
PASSWORD = "of-the-bench"  # noqa: S105
RECIPE = """\
[project]
name = "{name}"
summary = "Sleeps for {seconds} s."
contacts = ["bench@example.org"]
[source]
pypi = "{name}"
[test]
command = ["{{python}}", "{{report}}", "sleep", "{seconds}"]
report = "junit"
"""
FARM = """\
[farm]
name = "Bench"
[trunk]
git = "{trunk}"
branches = ["main"]
poll_seconds = 0.5
[master]
workers_port = {workers}
operators_port = {operators}
store_port = {store}
[site]
port = {site}
"""
WORKER = """\
[[worker]]
name = "{name}"
platform = "linux-x86_64-glibc"
interpreters = {interpreters}
password_file = "secrets/worker"
"""


@dataclass
class DispatchFarm:
    """A farm in *folder*: projects by name with the seconds that their suites sleep, and so many workers."""

    folder: Path
    sleeps: Mapping[str, float]
    workers: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = self.folder / "farm"
        self.trunk = self.folder / "trunk"
        self.programs = self.folder / "bin"
        for place in (self.root / "projects", self.root / "secrets", self.root / "master", self.programs):
            place.mkdir(parents=True)
        self.names = [f"worker{number}" for number in range(1, self.workers + 1)]
        self._write()

    def _write(self) -> None:
        self.ports = _free_ports(4)
        workers, operators, store, site = self.ports
        ports = {"workers": workers, "operators": operators, "store": store, "site": site}
        text = FARM.format(trunk=self.trunk, **ports) + "".join(
            WORKER.format(name=name, interpreters=str(name == self.names[0]).lower()) for name in self.names
        )
        (self.root / "farm.toml").write_text(text)
        secret = self.root / "secrets" / "worker"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        for name, seconds in self.sleeps.items():
            recipe = RECIPE.format(name=name, seconds=seconds)
            (self.root / "projects" / f"{name}.toml").write_text(recipe)
        program = self.programs / "pybots-worker"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {stand_in.__file__} "$@"\n')
        program.chmod(0o755)
        _git(self.folder, "init", "--quiet", "--initial-branch=main", str(self.trunk))

    def start(self) -> None:
        """Start the master and every worker, and wait until all are there."""
        self.head = self.commit(0)
        start_master(self.root, timeout=120)
        for name in self.names:
            self._start_worker(name)

    def _start_worker(self, name: str) -> None:
        folder = self.folder / "workers" / name
        buildbot_worker.prepare(
            folder,
            host="127.0.0.1",
            port=self.ports[0],
            name=name,
            password_file=self.root / "secrets" / "worker",
        )
        twistd = str(Path(sys.executable).parent / "twistd")
        path = os.pathsep.join([str(self.programs), os.environ.get("PATH", os.defpath)])
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [twistd, "--nodaemon", "--pidfile=", "--python=buildbot.tac"],
                cwd=folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)

    def stop(self) -> None:
        """End everything."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        stop_master(self.root, timeout=30)

    def commit(self, number: int) -> str:
        """Commit something that has to be compiled; return the commit."""
        (self.trunk / "Python").mkdir(exist_ok=True)
        (self.trunk / "Python" / "ceval.c").write_text(f"int number = {number};\n")
        _git(self.trunk, "add", "--all")
        _git(self.trunk, "commit", "--quiet", "--message", f"Change number {number}")
        return _git(self.trunk, "rev-parse", "HEAD").strip()

    def finished(self, commit: str, seconds: float) -> tuple[InterpreterRow, list[RunRow]]:
        """Wait until every project has run on *commit*; raises TimeoutError after *seconds*."""
        sessions = Sessions(open_engine(f"sqlite:///{self.root / 'results.sqlite'}"))

        def look() -> tuple[InterpreterRow, list[RunRow]] | None:
            with sessions.reading() as session:
                row = session.scalars(
                    select(InterpreterRow).where(InterpreterRow.key.contains(commit[:12]))
                ).one_or_none()
                if row is None or row.state != "finished":
                    return None
                runs = list(session.scalars(select(RunRow).where(RunRow.interpreter_id == row.id)))
            done = len(runs) == len(self.sleeps) and all(run.state == "finished" for run in runs)
            return (row, runs) if done else None

        try:
            return _waited(look, seconds)
        except TimeoutError as error:
            msg = f"waited {seconds:g} s in vain for the runs on {commit[:10]}\n{self.last_words()}"
            raise TimeoutError(msg) from error

    def last_words(self) -> str:
        """Return the ends of the logs."""
        logs = [self.root / "master" / "twistd.log", *sorted(self.folder.glob("workers/*/output"))]
        return "\n".join(
            f"--- {log}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists()
        )


@contextmanager
def running(farm: DispatchFarm) -> Iterator[DispatchFarm]:
    """Start *farm*, and end it whatever happens."""
    try:
        farm.start()
        yield farm
    finally:
        farm.stop()


def _waited(look: Callable[[], Found | None], seconds: float) -> Found:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.5)
    raise TimeoutError


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
