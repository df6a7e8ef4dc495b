"""The whole system in miniature: a real master, real workers, and readers of what they found."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from pybots.commands.master_process import running_master, start_master, stop_master
from pybots.config.folder import FarmFolder
from pybots.database.engine import Sessions
from pybots.database.tables import InterpreterRow, ProjectRow, RunRow
from pybots.site.read_folder import read_folder

PLATFORM = "linux-x86_64-glibc"


def free_ports(count: int) -> list[int]:
    """Return ports that are free now; all are held until the last is found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass
class MiniFarm:
    """A farm in *folder*, workers beside it; stop() ends every process it started."""

    folder: Path
    trunk: Path
    workers: Sequence[str] = ("one", "two")
    variants: dict[str, list[str]] = field(default_factory=lambda: {"default": []})
    packages: Path | None = None
    """A folder of wheels; without it, projects that need none are all that can run."""
    keepalive_seconds: float = 2.0
    first_commits: int = 1
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Environment variables of single workers, by name."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "farm"
        self.recipes = self.root / "projects"
        self.sources = self.folder / "sources"
        for place in (self.recipes, self.sources, self.root / "secrets", self.root / "master"):
            place.mkdir(parents=True)
        self.ports = free_ports(4)
        for name in self.workers:
            secret = self.root / "secrets" / name
            secret.write_text(f"password-of-{name}")
            secret.chmod(0o600)
        self.write_configuration()

    def write_configuration(self, extra: str = "") -> None:
        """Write farm.toml anew; *extra* is put before everything else."""
        workers_port, operators_port, store_port, site_port = self.ports
        variants = ", ".join(f"{name} = {options}" for name, options in self.variants.items())
        text = f"""{extra}
variants = {{ {variants} }}
[farm]
name = "Minifarm"
[trunk]
git = "{self.trunk}"
branches = ["main"]
poll_seconds = 0.5
first_commits = {self.first_commits}
[master]
workers_port = {workers_port}
operators_port = {operators_port}
store_port = {store_port}
keepalive_seconds = {self.keepalive_seconds}
[site]
port = {site_port}
[registry]
sources = ["{self.sources}"]
"""
        if self.packages is not None:
            text += f'[packages]\noffline = true\nfolder = "{self.packages}"\n'
        for number, name in enumerate(self.workers):
            text += f"""
[[worker]]
name = "{name}"
platform = "{PLATFORM}"
interpreters = {"true" if number == 0 else "false"}
password_file = "secrets/{name}"
"""
        (self.root / "farm.toml").write_text(text)

    def start(self) -> None:
        """Start the master and every worker."""
        start_master(self.root, timeout=90)
        for name in self.workers:
            self.start_worker(name)

    def start_master_again(self) -> None:
        """Start the master; workers that are there connect again by themselves."""
        start_master(self.root, timeout=90)

    def start_worker(self, name: str) -> None:
        """Start the worker *name*; with bubblewrap, where neither the master's folder nor the store exists."""
        home = self.folder / "workers" / name
        home.mkdir(parents=True, exist_ok=True)
        password = home / "password"
        password.write_text(f"password-of-{name}")
        password.chmod(0o600)
        command = [
            *(str(Path(sys.executable).parent / "pybots-worker"), "start", str(home / "worker")),
            *("--master", f"127.0.0.1:{self.ports[0]}", "--name", name, "--password-file", str(password)),
        ]
        with (home / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*hide(self.root), *command],
                env={**os.environ, **self.variables.get(name, {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def kill_worker(self, name: str) -> None:
        """kill -9 the worker, as a power cut would."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def kill_master(self) -> None:
        """kill -9 the master."""
        process = running_master(FarmFolder(self.root))
        assert process is not None, "no master runs"
        process.kill()
        process.wait(30)

    def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            process = self.processes.pop(name)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)
        stop_master(self.root, timeout=30)

    @property
    def sessions(self) -> Sessions:
        """Sessions on the results database."""
        return read_folder(self.root).sessions()

    def runs(self) -> list[RunRow]:
        """Every run, oldest first."""
        with self.sessions.reading() as session:
            return list(session.scalars(select(RunRow).order_by(RunRow.id)))

    def interpreters(self) -> list[InterpreterRow]:
        """Every interpreter, in the order of its commits."""
        with self.sessions.reading() as session:
            return list(
                session.scalars(select(InterpreterRow).order_by(InterpreterRow.position, InterpreterRow.id))
            )

    def statuses(self) -> dict[str, str]:
        """The newest subject run's status of each project, by name."""
        with self.sessions.reading() as session:
            rows = session.execute(
                select(ProjectRow.name, RunRow.status)
                .join(RunRow, RunRow.project_id == ProjectRow.id)
                .where(RunRow.role == "subject")
                .order_by(RunRow.id)
            )
            return dict(rows.all())

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until *condition* holds; after *seconds*, fail with all that is known."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.2)
        raise AssertionError(f"waited {seconds:g} s in vain for: {what}\n{self.describe()}")

    def wait_for_runs(self, count: int, seconds: float = 180) -> None:
        """Wait until *count* subject runs are finished and nothing else is under way."""

        def finished() -> bool:
            runs = self.runs()
            return (
                sum(run.role == "subject" for run in runs) >= count
                and all(run.state == "finished" for run in runs)
                and all(row.state == "finished" for row in self.interpreters())
            )

        self.wait(f"{count} runs to finish", finished, seconds)

    def describe(self) -> str:
        """Say how things stand, with the last lines of every log."""
        lines = [
            f"{row.key}: {row.state} {row.status} {row.detail} {row.log_tail[-800:]}"
            for row in self.interpreters()
        ]
        lines += [f"{run.key}: {run.state} {run.status} {run.detail}" for run in self.runs()]
        for path in (self.root / "master" / "twistd.log", *sorted(self.folder.glob("workers/*/log"))):
            if path.exists():
                lines += [f"--- {path}", *path.read_text(errors="replace").splitlines()[-40:]]
        return "\n".join(lines)


def hide(folder: Path) -> list[str]:
    """Return the command prefix under which *folder* is an empty place."""
    bwrap = shutil.which("bwrap")
    assert bwrap is not None, "bubblewrap is needed: make test installs it"
    return [bwrap, "--dev-bind", "/", "/", "--tmpfs", str(folder), "--die-with-parent", "--"]


@contextmanager
def running(farm: MiniFarm) -> Iterator[MiniFarm]:
    """Start *farm*, and end it whatever happens."""
    try:
        farm.start()
        yield farm
    finally:
        farm.stop()
