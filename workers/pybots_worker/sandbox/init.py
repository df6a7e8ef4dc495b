"""The first process in a sandbox: starts the program, and says how it ended and what it left running.

`python -I -S init.py TASK_FD STATUS_FD`: standard library only; nothing else of Pybots is visible here. When it
ends, the kernel kills whatever else there is in its process namespace. The program cannot reach it: it is neither
traced nor killed from inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import signal
import sys
import time
from typing import Any

LOOK_SECONDS = 0.25
SEGMENTS = "/proc/sysvipc/shm"
"""Shared memory that has no file, and outlives who made it: only seen from inside of the sandbox."""
SETTLE_SECONDS = 0.5
"""Helpers of a suite (multiprocessing's, ...) end by themselves just after it."""
NAMED = 200
_PR_SET_DUMPABLE = 4
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_JOIN_SESSION_KEYRING = 1


def main(arguments: list[str]) -> int:
    """Start the program, and stay until it has ended."""
    task_fd, status_fd = (int(number) for number in arguments)
    with open(task_fd, encoding="utf-8") as file:  # noqa: PTH123
        task: dict[str, Any] = json.load(file)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    _say(status_fd, {"begun": True})
    leader = os.fork()
    if leader == 0:
        _become(task, status_fd)
    status = _wait_for(leader, status_fd)
    # At once: whatever kills us now, how it ended is known.
    _say(status_fd, {"program": status})
    _settle()
    left = _names()
    _say(status_fd, {"left": left[:NAMED], "left_count": len(left)})
    return 0


def _wait_for(leader: int, status_fd: int) -> int:
    """Bury whoever dies, until the program does, and tell of its shared memory meanwhile; returns its status."""
    told, due = 0, 0.0
    while True:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == leader:
                    return found[1]
        if time.monotonic() >= due:
            due = time.monotonic() + LOOK_SECONDS
            segments = _segments_bytes()
            if segments != told:
                told = segments
                _say(status_fd, {"segments": segments})
        signal.sigtimedwait([signal.SIGCHLD], LOOK_SECONDS)


def _segments_bytes() -> int:
    """What segments of shared memory take, attached or not: it need not be seen in any process."""
    total = 0
    with contextlib.suppress(OSError, ValueError), open(SEGMENTS, encoding="ascii") as file:  # noqa: PTH123
        names = file.readline().split()
        for line in file:
            row = dict(zip(names, map(int, line.split()), strict=False))
            total += row["rss"] + row["swap"]
    return total


def _settle() -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.02)


def _names() -> list[str]:
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and entry != "1":
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                name, _, rest = file.read().decode("ascii", "replace").partition("(")[2].rpartition(")")
                if rest.split()[0] not in {"Z", "X"}:
                    found.append("".join(each if each.isprintable() else "?" for each in name))
    return sorted(found)


def _become(task: dict[str, Any], status_fd: int) -> None:
    """Turn this fork into the program; never returns."""
    try:
        os.setsid()
        _forget_keys()
        # What Python ignores an exec would hand on.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError, ValueError):  # two belong to the C library
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.set_inheritable(status_fd, False)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(task["cwd"])
        set_limits(task["limits"])
        os.execvpe(task["command"][0], task["command"], task["environment"])  # noqa: S606
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and os.sep not in task["command"][0]
        path = task["environment"].get("PATH", os.defpath)
        said = f"no program of this name on PATH={path}" if missing else error.strerror
        _say(status_fd, {"errno": error.errno, "error": said, "file": task["command"][0]})
    finally:
        os._exit(127)


def set_limits(limits: dict[str, int]) -> None:
    """Set limits of this process (names without RLIMIT_), never higher than they are."""
    import resource  # noqa: PLC0415  (absent on Windows)

    for name, most in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _soft, hard = resource.getrlimit(number)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (value, value))


def _forget_keys() -> None:
    """Leave the keys that our session holds in the kernel behind; where the kernel has none, nothing is lost."""
    number = _KEYCTL.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)


def _say(status_fd: int, facts: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more
        os.write(status_fd, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
