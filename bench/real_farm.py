"""A farm with a real master and one real worker, which makes interpreters of a repository that is pushed to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from pybots.commands.master_process import start_master, stop_master
from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Commit, InterpreterRow

WORKER = "maker"
FARM = """\
[farm]
name = "Bench"
[trunk]
git = "{trunk}"
branches = ["main"]
poll_seconds = 0.5
first_commits = 1
[master]
workers_port = {workers}
operators_port = {operators}
store_port = {store}
[site]
port = {site}
[[worker]]
name = "{name}"
platform = "linux-x86_64-glibc"
interpreters = true
password_file = "secrets/{name}"
"""


@dataclass(frozen=True, slots=True)
class Made:
    """An interpreter that was made: how long after its commit was seen it was stored, and what took how long."""

    seconds: float
    worker_seconds: float
    clean: bool
    phases: dict[str, float]


class RealFarm:
    """A farm in `folder`; the repository `folder`/trunk.git is its trunk, and `folder`/work a clone to commit in."""

    def __init__(self, folder: Path, source: str) -> None:
        self.root, self.trunk, self.work = folder / "farm", folder / "trunk.git", folder / "work"
        self.home = folder / "worker"
        git(folder, "clone", "-q", "--bare", "--depth=1", "--branch=main", address(source), str(self.trunk))
        git(folder, "clone", "-q", "--depth=1", f"file://{self.trunk}", str(self.work))
        (self.root / "secrets").mkdir(parents=True)
        (self.root / "projects").mkdir()
        self.secret = self.root / "secrets" / WORKER
        self.secret.write_text("of-the-bench")
        self.secret.chmod(0o600)
        self.ports = free_ports(4)
        ports = dict(zip(("workers", "operators", "store", "site"), self.ports, strict=True))
        (self.root / "farm.toml").write_text(FARM.format(trunk=self.trunk, name=WORKER, **ports))

    @property
    def sessions(self) -> Sessions:
        """Sessions on the results database."""
        return Sessions(open_engine(f"sqlite:///{self.root / 'results.sqlite'}"))

    def commit(self, path: str, addition: str) -> str:
        """Push a commit that appends to a file; return its sha."""
        file = self.work / path
        file.write_text(file.read_text() + addition)
        git(self.work, "commit", "-q", "-a", "-m", f"Change {path}")
        git(self.work, "push", "-q", str(self.trunk), "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")

    def made(self, sha: str, patience: float) -> Made:
        """Wait until the interpreter of a commit is stored. Raises RuntimeError where it is not proven."""
        deadline = time.monotonic() + patience
        while (row := self._finished(sha)) is None:
            if time.monotonic() > deadline:
                msg = f"{sha} was not made in {patience:g} seconds; see {self.root / 'master' / 'twistd.log'}"
                raise RuntimeError(msg)
            time.sleep(0.1)
        if row.status != "proven" or row.finished_at is None:
            msg = f"{sha}: {row.status}: {row.detail}\n{row.log_tail}"
            raise RuntimeError(msg)
        phases = {phase["name"]: phase["seconds"] for phase in json.loads(row.phases)}
        seconds = (row.finished_at - row.wanted_at).total_seconds()
        return Made(seconds, row.seconds, bool(row.clean_build), phases)

    def forget_builds(self) -> None:
        """Have the worker begin its next build from nothing but the repository."""
        for marker in self.home.glob("cache/trees/*/*/built.json"):
            marker.unlink()

    def _finished(self, sha: str) -> InterpreterRow | None:
        with self.sessions.reading() as session:
            return session.scalars(
                select(InterpreterRow)
                .join(Commit, Commit.id == InterpreterRow.commit_id)
                .where(Commit.sha == sha, InterpreterRow.state == "finished")
            ).one_or_none()


@contextmanager
def running(farm: RealFarm) -> Iterator[RealFarm]:
    """Start master and worker, the latter without ccache, and end both."""
    command = [
        *(str(Path(sys.executable).parent / "pybots-worker"), "start", str(farm.home)),
        *("--master", f"127.0.0.1:{farm.ports[0]}", "--name", WORKER, "--password-file", str(farm.secret)),
    ]
    start_master(farm.root, timeout=90)
    worker = subprocess.Popen(
        command,
        env={**os.environ, "CCACHE_DISABLE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield farm
    finally:
        worker.terminate()
        worker.wait(60)
        stop_master(farm.root, timeout=30)


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*; return what it prints."""
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, timeout=600, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def address(source: str) -> str:
    """Return a repository's address; a path has to be one, for git to heed --depth."""
    return f"file://{Path(source).absolute()}" if Path(source).is_dir() else source


def free_ports(count: int) -> list[int]:
    """Return ports that are free now; all are held until the last is found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
