"""The process that stands over one program: it starts it, and leaves nothing of it alive.

`python -I -m pybots_worker.keeper STATUS_FD` reads what to start from standard input (one JSON object). It
adopts the program's orphans (Linux), so that daemons are found too, and ends everything when the program
ends, when it is told to (SIGTERM), or when its own parent dies, in whatever way.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybots_worker.sandbox.init import set_limits

if TYPE_CHECKING:
    import psutil

TERM_GRACE_SECONDS = 3.0
KILL_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


SANDBOX_PROCESSES = 2
"""bubblewrap outside of the sandbox, and `init` in it: they end by themselves, after the program."""


def main(arguments: list[str]) -> int:
    """Stand over one program until nothing of it is left."""
    status_fd, parent = int(arguments[0]), os.getppid()
    wakeup = _wake_on_signals()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    task: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    active = Path(task["active"]) if task["active"] else None
    if os.getppid() != parent:
        return 1
    if active:
        active.write_text(json.dumps({"keeper": os.getpid(), "token": task["token"]}))
    keeper = _Keeper(status_fd, wakeup, parent)
    keeper.start(task)
    keeper.wait()
    keeper.end_all()
    if active:
        active.unlink(missing_ok=True)
    return 0


class _Keeper:
    def __init__(self, status_fd: int, wakeup: int, parent: int) -> None:
        self._status_fd = status_fd
        self._wakeup = wakeup
        self._parent = parent
        self._leader = 0
        self._leader_ended = False
        self._sandboxed = False
        self._started = time.monotonic()

    def start(self, task: dict[str, Any]) -> None:
        self._sandboxed = task.get("inside") is not None
        self._leader = os.fork()
        if self._leader == 0:
            _become(task, self._status_fd)

    def wait(self) -> None:
        while not self._leader_ended and not _stop_asked and os.getppid() == self._parent:
            self._sleep(1.0)
            self._reap()

    def end_all(self) -> None:
        for number, seconds in ((signal.SIGTERM, TERM_GRACE_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            told: set[int] = set()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self._reap():
                    return
                alive = _descendants()
                if not alive:
                    return
                # Without these two the program would be killed at once, with no time to write its report.
                spared = self._sandbox_itself(alive) if number == signal.SIGTERM else set()
                for pid in alive.keys() - told - spared:
                    told.add(pid)
                    with contextlib.suppress(*_GONE):
                        alive[pid].send_signal(number)
                self._sleep(0.05)

    def _sandbox_itself(self, alive: dict[int, psutil.Process]) -> set[int]:
        if not self._sandboxed:
            return set()
        spared = {self._leader}
        for process in alive.values():
            with contextlib.suppress(*_GONE):
                if process.ppid() == self._leader:
                    spared.add(process.pid)
        return spared

    def _reap(self) -> bool:
        """Note what ended; say whether any child is left. Without a child there is no descendant: we adopt them."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._leader:
                    self._leader_ended = True
                    seconds = time.monotonic() - self._started
                    _say(self._status_fd, {"status": status, "seconds": seconds, "told": bool(_stop_asked)})
        return sys.platform != "linux"

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wakeup], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 4096)


_GONE: list[type[Exception]] = []
"""What psutil raises; it is imported where something is left to be ended, and takes as long as all else here."""


def _descendants() -> dict[int, psutil.Process]:
    import psutil  # noqa: PLC0415

    _GONE[:] = [psutil.Error]
    return {process.pid: process for process in psutil.Process().children(recursive=True)}


_stop_asked: list[int] = []


def _wake_on_signals() -> int:
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: _stop_asked.append(received))
    return readable


def _become(task: dict[str, Any], status_fd: int) -> None:
    """Turn this fork into the program; never returns."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        # What Python ignores, and whatever our caller happened to ignore or block, an exec would hand on.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError, ValueError):  # two belong to the C library
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for entrance in task.get("groups", ()):
            Path(entrance).write_text("0", encoding="ascii")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(task["cwd"])
        command = task["command"]
        if task.get("inside") is None:
            os.set_inheritable(status_fd, False)
            set_limits(task.get("limits", {"CORE": 0}))
        else:  # what starts the program in the sandbox reads this, and tells how it ended
            os.set_inheritable(status_fd, True)
            command = [*command, str(_file_with(task["inside"])), str(status_fd)]
        os.execve(task["program"], command, task["environment"])  # noqa: S606
    except OSError as error:
        _say(status_fd, {"errno": error.errno, "error": error.strerror, "file": error.filename})
    finally:
        os._exit(127)


def _file_with(facts: dict[str, Any]) -> int:
    """Return a descriptor that an exec hands on, of a file in memory with these facts."""
    number = os.memfd_create("task", 0)
    os.write(number, json.dumps(facts).encode())
    os.lseek(number, 0, os.SEEK_SET)
    return number


def _say(status_fd: int, facts: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more
        os.write(status_fd, json.dumps(facts).encode() + b"\n")


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
