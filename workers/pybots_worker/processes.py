"""Runs programs under limits, and leaves nothing of them alive."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.keeper import KILL_SECONDS, TERM_GRACE_SECONDS

__all__ = [
    "BoundedLog",
    "Finished",
    "StoppedError",
    "kill_leftovers",
    "recorded",
    "run_limited",
    "stop_if_alone",
]

ACTIVE_FOLDER_VARIABLE = "PYBOTS_ACTIVE_FOLDER"
"""Where what is running is recorded, for `kill_leftovers`; set by `pybots-worker start`."""
TOKEN_VARIABLE = "PYBOTS_TOKEN"  # noqa: S105
"""In the environment of every program that we start: how its remains are known after a crash of ours."""

IDLE_SHARE = 0.005
"""A hung program whose threads wake up now and then uses some CPU; below this share of one it is quiet."""
CHECK_SECONDS = 1.0
_VMSTAT = Path("/proc/vmstat")

Ending = Literal["exited", "wall-limit", "quiet-limit"]


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `exit_status` is None where it did not exit by itself."""

    exit_status: int | None
    signal: str
    """The signal that ended it by itself, by name; empty at a limit."""
    ending: Ending
    seconds: float
    truncated: bool
    """Whether what went to `stdout_to` was longer than `stdout_bytes`."""
    free_bytes: int | None = None
    """The least disk space that was seen free meanwhile, in the working folder or in TMPDIR."""
    memory_ran_out: bool = False
    """Whether the kernel killed processes on this machine meanwhile because memory had run out."""

    @property
    def succeeded(self) -> bool:
        """Whether it exited by itself with status 0."""
        return self.exit_status == 0


class StoppedError(BaseException):
    """We were told to stop (SIGTERM), or the process that started us is gone; the program is dead already."""


def run_limited(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: BoundedLog,
    wall_seconds: float,
    quiet_seconds: float | None = None,
    stdout_to: Path | None = None,
    stdout_bytes: int = 200_000_000,
) -> Finished:
    """Run a program to its end or to a limit; whatever it started is dead afterwards.

    `environment` is all that it sees. Output goes to `log`; with `stdout_to`, standard output goes there
    instead, and only standard error to the log. Quiet means: no output, and no CPU time used by any of its
    processes. Raises StoppedError; OSError where the program cannot be started or `stdout_to` not written.
    """
    stop_if_alone()
    program = _find(command[0], cwd, environment)
    task = _task(program, command, cwd, environment)
    with contextlib.ExitStack() as stack:
        stdout_file = stack.enter_context(stdout_to.open("wb")) if stdout_to else None
        stop = stack.enter_context(_stop_flag())
        watch = _Watch(task, log, stdout_file, stdout_bytes, stop)
        stack.callback(watch.end)
        ending = watch.until_ended(wall_seconds, quiet_seconds)
    return watch.finished(ending)


def kill_leftovers(active: Path) -> int:
    """Kill those that are recorded in this folder and what they left behind; returns how many.

    First our own commands (`recorded`), so that they start nothing more, then the programs that they started.
    """
    killed = _kill_owners(active)
    tokens = {}
    for path in active.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            tokens[str(json.loads(path.read_text())["token"])] = path
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if tokens and process.environ().get(TOKEN_VARIABLE) in tokens:
                process.kill()
                killed += 1
    for path in tokens.values():
        path.unlink(missing_ok=True)
    return killed


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Record this process where `kill_leftovers` looks, while it does what the master asked for."""
    folder = os.environ.get(ACTIVE_FOLDER_VARIABLE, "")
    if not folder:
        yield
        return
    path = Path(folder) / f"owner-{os.getpid()}.json"
    path.write_text(json.dumps({"owner": os.getpid()}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def stop_if_alone() -> None:
    """Raise StoppedError where the process that started us is gone: nobody waits for what we do."""
    if os.getppid() != _parent:
        msg = "the process that started us is gone"
        raise StoppedError(msg)


_parent = os.getppid()
"""Taken when we begin: who took its place later would look like it."""


def _take_parent() -> None:
    global _parent  # noqa: PLW0603  (the parent is the process's)
    _parent = os.getppid()


os.register_at_fork(after_in_child=_take_parent)


def _kill_owners(active: Path) -> int:
    killed: list[psutil.Process] = []
    for path in active.glob("owner-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
            facts = json.loads(path.read_text())
            process = psutil.Process(facts["owner"])
            # Else the number went to another process; times of creation move with the clock.
            if process.environ().get(ACTIVE_FOLDER_VARIABLE) == str(active):
                process.kill()
                killed.append(process)
        path.unlink(missing_ok=True)
    psutil.wait_procs(killed, timeout=KILL_SECONDS)
    return len(killed)


def _find(name: str, cwd: Path, environment: Mapping[str, str]) -> str:
    if os.sep in name:
        return str(cwd / name)
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(
            2, f"no program of this name on PATH={environment.get('PATH', os.defpath)}", name
        )
    return found


def _task(program: str, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    token = secrets.token_hex(8)
    folder = os.environ.get(ACTIVE_FOLDER_VARIABLE, "")
    return {
        "program": program,
        "command": list(command),
        "cwd": str(cwd),
        "environment": {**environment, TOKEN_VARIABLE: token},
        "token": token,
        "active": str(Path(folder) / f"{token}.json") if folder else "",
    }


@contextlib.contextmanager
def _stop_flag() -> Iterator[list[int]]:
    """A list that gets an entry when SIGTERM arrives (in the main thread, where signals can be handled)."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass(slots=True)
class _Activity:
    """CPU seconds used since the program last did something worth the name."""

    marked: float
    used: float = 0.0
    seen: dict[psutil.Process, float] = field(default_factory=dict)

    def sample(self, processes: list[psutil.Process], now: float) -> None:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                seconds = sum(process.cpu_times()[:4])  # user, system, and those of children it has reaped
                self.used += max(0.0, seconds - self.seen.get(process, 0.0))
                self.seen[process] = seconds
        if self.used >= max(0.02, IDLE_SHARE * (now - self.marked)):
            self.mark(now)
        alive = set(processes)
        self.seen = {process: seconds for process, seconds in self.seen.items() if process in alive}

    def mark(self, now: float) -> None:
        self.marked, self.used = now, 0.0


class _Watch:
    """One program under its keeper: its output, its limits, its end."""

    def __init__(
        self,
        task: dict[str, Any],
        log: BoundedLog,
        stdout: IO[bytes] | None,
        stdout_bytes: int,
        stop: list[int],
    ) -> None:
        self._folders = {task["cwd"], task["environment"].get("TMPDIR", task["cwd"])}
        self._free: int | None = None
        self._out_of_memory = _out_of_memory_kills()
        self._log, self._stdout, self._stdout_room, self._stop = log, stdout, stdout_bytes, stop
        self._truncated = False
        self._failure: OSError | None = None
        self._name: str = task["command"][0]
        self._facts_fd, status_fd = os.pipe()
        self._started = time.monotonic()
        self._activity = _Activity(self._started)
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-m", "pybots_worker.keeper", str(status_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stdout else subprocess.STDOUT,
            pass_fds=(status_fd,),
            start_new_session=True,
        )
        os.close(status_fd)
        self._give(task)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._keeper.stdout, self._keeper.stderr):
            if pipe:
                self._selector.register(pipe, selectors.EVENT_READ, self._sink(pipe is self._keeper.stdout))

    def until_ended(self, wall_seconds: float, quiet_seconds: float | None) -> Ending:
        """Read output until nothing is left of the program; says which limit it met, if any."""
        checked = self._started
        while self._keeper.poll() is None:
            self._read(0.2)
            self._stop_if_asked()
            self._measure_disk()
            now = time.monotonic()
            if now - self._started >= wall_seconds:
                return "wall-limit"
            if now - checked >= CHECK_SECONDS:
                checked = now
                self._activity.sample(self._processes(), now)
                if quiet_seconds is not None and now - self._activity.marked >= quiet_seconds:
                    return "quiet-limit"
        return "exited"

    def end(self) -> None:
        """End the program and all that it started, and read what it still says meanwhile."""
        if self._keeper.poll() is None:
            self._keeper.terminate()
        deadline = time.monotonic() + TERM_GRACE_SECONDS + KILL_SECONDS + 5
        while self._keeper.poll() is None and time.monotonic() < deadline:
            self._read(0.2)
        if self._keeper.poll() != 0:  # the keeper itself is dead or stuck: end what was last seen below it
            for process in [*self._processes(), *self._activity.seen]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self._keeper.kill()
        self._keeper.wait()
        while self._read(0):
            pass
        self._selector.close()

    def finished(self, ending: Ending) -> Finished:
        """What to tell of the program. Raises OSError where it could not be started."""
        facts = self._facts()
        if "errno" in facts:
            raise OSError(facts["errno"], facts["error"], facts["file"])
        if self._failure:
            raise self._failure
        seconds = float(facts.get("seconds", time.monotonic() - self._started))
        if ending != "exited" and facts.get("told", True):  # else it ended just before it was told to
            return self._told(None, "", ending, seconds)
        if "status" not in facts:
            return self._finished_without_keeper(seconds)
        code = os.waitstatus_to_exitcode(facts["status"])
        name = _signal_name(-code) if code < 0 else ""
        return self._told(code if code >= 0 else None, name, "exited", seconds)

    def _finished_without_keeper(self, seconds: float) -> Finished:
        if self._keeper.returncode >= 0:
            msg = f"the keeper of {self._name} ended with status {self._keeper.returncode}; its log says why"
            raise OSError(msg)
        name = _signal_name(-self._keeper.returncode)
        return self._told(None, name, "exited", seconds)

    def _told(self, exit_status: int | None, name: str, ending: Ending, seconds: float) -> Finished:
        self._measure_disk()
        ran_out = _out_of_memory_kills() > self._out_of_memory
        return Finished(exit_status, name, ending, seconds, self._truncated, self._free, ran_out)

    def _measure_disk(self) -> None:
        for folder in self._folders:
            with contextlib.suppress(OSError):  # the program may have removed it
                free = shutil.disk_usage(folder).free
                self._free = free if self._free is None else min(self._free, free)

    def _give(self, task: dict[str, Any]) -> None:
        assert self._keeper.stdin
        with contextlib.suppress(BrokenPipeError), self._keeper.stdin as pipe:
            pipe.write(json.dumps(task).encode())

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        with open(self._facts_fd, "rb") as pipe:  # noqa: PTH123
            os.set_blocking(self._facts_fd, False)
            for line in (pipe.read() or b"").splitlines():
                facts |= json.loads(line)
        return facts

    def _sink(self, is_stdout: bool) -> Any:
        return self._keep if is_stdout and self._stdout else self._log.write

    def _keep(self, data: bytes) -> None:
        assert self._stdout
        self._truncated = self._truncated or len(data) > self._stdout_room
        try:
            self._stdout.write(data[: self._stdout_room])
            self._stdout_room -= min(len(data), self._stdout_room)
        except OSError as error:  # the disk is full: told at the end, once the program is gone
            self._failure, self._stdout_room = error, 0

    def _read(self, seconds: float) -> int:
        """Pass on what there is to read, waiting for it at most so long; returns how many bytes."""
        if not self._selector.get_map():
            time.sleep(min(seconds, 0.02))  # all pipes are closed; the keeper is about to end
            return 0
        got = 0
        for key, _events in self._selector.select(seconds):
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            key.data(data)
            got += len(data)
        if got:
            self._activity.mark(time.monotonic())
        return got

    def _stop_if_asked(self) -> None:
        if self._stop:
            msg = "told to stop"
            raise StoppedError(msg)
        stop_if_alone()

    def _processes(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._keeper.pid).children(recursive=True)
        except psutil.Error:
            return []


def _out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in _VMSTAT.read_text().splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
