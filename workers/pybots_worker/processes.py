"""Runs programs under limits, and leaves nothing of them alive."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybots_worker.alone import StoppedError, stop_flag, stop_if_alone
from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Limits
from pybots_worker.leftovers import ACTIVE_FOLDER_VARIABLE, TOKEN_VARIABLE, kill_leftovers, recorded
from pybots_worker.sandbox.groups import open_group
from pybots_worker.sandbox.machine import command_prefix, grants
from pybots_worker.sandbox.policy import Sandbox
from pybots_worker.watch import Finished, Watch

__all__ = [
    "ACTIVE_FOLDER_VARIABLE",
    "TOKEN_VARIABLE",
    "BoundedLog",
    "Bounds",
    "Finished",
    "StoppedError",
    "kill_leftovers",
    "recorded",
    "run_limited",
    "stop_if_alone",
]

GROUP_SPARE = 2
"""bubblewrap and the sandbox's first process are in the program's control group."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a program may use, and in which folders what it writes is counted."""

    limits: Limits
    folders: tuple[Path, ...]
    sandbox: Sandbox | None = field(default=None)
    """None: it runs as we do; only where this machine's owner allowed that."""


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
    bounds: Bounds | None = None,
) -> Finished:
    """Run a program to its end or to a limit; whatever it started is dead afterwards.

    `environment` is all that it sees. Output goes to `log`; with `stdout_to`, standard output goes there
    instead, and only standard error to the log. Quiet means: no output, and no CPU time used by any of its
    processes. With `bounds`, it is bounded in what it uses besides time. Raises StoppedError; OSError where the
    program cannot be started or `stdout_to` not written.
    """
    stop_if_alone()
    with contextlib.ExitStack() as stack:
        group = (
            open_group(bounds.limits.memory_bytes, bounds.limits.processes + GROUP_SPARE) if bounds else None
        )
        if group:
            stack.callback(group.close)
        task = _task(command, cwd, environment, bounds) | {"groups": group.entrances if group else []}
        stdout_file = stack.enter_context(stdout_to.open("wb")) if stdout_to else None
        stop = stack.enter_context(stop_flag())
        watch = Watch(task, log, stdout_file, stdout_bytes, stop)
        stack.callback(watch.end)
        if bounds:
            counted = bounds.sandbox is not None and kernel_counts_in_sandbox()
            watch.bound(bounds.limits, bounds.folders, group, counted=counted)
        ending = watch.until_ended(wall_seconds, quiet_seconds)
        watch.end()
        return watch.finished(ending)


def _task(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], bounds: Bounds | None
) -> dict[str, Any]:
    """What the keeper is told. In a sandbox its program is bubblewrap, and `inside` what that starts."""
    token = secrets.token_hex(8)
    folder = os.environ.get(ACTIVE_FOLDER_VARIABLE, "")
    common = {"token": token, "active": str(Path(folder) / f"{token}.json") if folder else ""}
    limits = _kernel_limits(bounds)
    environment = {**environment, TOKEN_VARIABLE: token}
    if bounds is None or bounds.sandbox is None:
        program = _find(command[0], cwd, environment)
        outside = {"program": program, "command": list(command), "cwd": str(cwd), "environment": environment}
        return {**common, **outside, "limits": limits, "inside": None}
    prefix = command_prefix(bounds.sandbox, grants())
    inside = {"command": list(command), "cwd": str(cwd), "environment": environment, "limits": limits}
    # A recipe's variables (LD_PRELOAD) are not for what runs outside.
    outside = {"program": prefix[0], "command": prefix, "cwd": "/", "environment": {TOKEN_VARIABLE: token}}
    return {**common, **outside, "limits": {}, "inside": inside}


def _kernel_limits(bounds: Bounds | None) -> dict[str, int]:
    """The limits that the kernel holds each process to: setrlimit's, by name."""
    if bounds is None:
        return {"CORE": 0}
    limits = {"CORE": 0, "NOFILE": bounds.limits.open_files, "FSIZE": bounds.limits.disk_bytes}
    if bounds.sandbox and kernel_counts_in_sandbox():
        limits["NPROC"] = bounds.limits.processes + GROUP_SPARE
    return limits


def kernel_counts_in_sandbox() -> bool:
    """Whether RLIMIT_NPROC counts the sandbox's processes alone, and holds (since Linux 5.14; never for root)."""
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdecimal())
    return os.getuid() != 0 and version >= (5, 14)


def _find(name: str, cwd: Path, environment: Mapping[str, str]) -> str:
    if os.sep in name:
        return str(cwd / name)
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(
            2, f"no program of this name on PATH={environment.get('PATH', os.defpath)}", name
        )
    return found
