"""Looks at this machine: can it be a worker, and what command mends what it lacks?"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pybots_worker.runs.place import uv
from pybots_worker.runs.scratch import place_for_scratch
from pybots_worker.sandbox.groups import open_group
from pybots_worker.sandbox.machine import grants

DELEGATE = "systemd-run --user --scope -p Delegate=yes pybots-worker start ..."
FREE_BYTES = 5_000_000_000
"""A tree of CPython, its build and a few environments."""
TEMPORARY_BYTES = 1_000_000_000
"""What suites put where the system keeps temporary files."""
_BUILT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_INSTALLERS = {
    "apt-get": "sudo apt-get install -y",
    "dnf": "sudo dnf install -y",
    "pacman": "sudo pacman -S --noconfirm",
    "apk": "sudo apk add",
    "brew": "brew install",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `needed` is False for what a worker can do without; `mend` is one command."""

    name: str
    good: bool
    detail: str
    mend: str = ""
    needed: bool = True


def examine(folder: Path, host: str, port: int) -> Iterator[Check]:
    """Look at everything, one thing after the other."""
    yield _compiler()
    yield _program("make", "make", needed=True)
    yield _program("git", "git", needed=True)
    yield _program("ccache", "ccache", needed=False)
    yield _sandbox()
    yield _limits()
    yield _uv()
    yield _disk("disk", folder, FREE_BYTES)
    yield _disk("tmp", place_for_scratch(), TEMPORARY_BYTES)
    yield _clock()
    yield _master(host, port)


def _compiler() -> Check:
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    if not found:
        return Check("compiler", False, "there is no C compiler", _install("gcc libc6-dev make"))
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "try.c"
        source.write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
        problem = _complaint([found, str(source), "-o", str(source.with_suffix(""))])
    if problem:
        return Check("compiler", False, f"{found} cannot compile: {problem}", _install("gcc libc6-dev make"))
    return Check("compiler", True, f"{found} compiles")


def _program(name: str, package: str, *, needed: bool) -> Check:
    path = shutil.which(name)
    if path:
        return Check(name, True, path, needed=needed)
    detail = "is missing" if needed else "is missing; building interpreters takes longer without it"
    return Check(name, False, detail, _install(package), needed=needed)


def _sandbox() -> Check:
    lack = grants().lack
    if lack is None:
        return Check("sandbox", True, "bubblewrap works")
    detail = f"{lack.reason}; without it this machine takes no project runs"
    return Check("sandbox", False, detail, lack.mend or _install("bubblewrap"))


def _limits() -> Check:
    group = open_group(1 << 30, 100)
    if group is None:
        detail = "the kernel does not bound memory for us: it is measured four times a second instead"
        return Check("limits", False, detail, DELEGATE, needed=False)
    with contextlib.closing(group):
        return Check("limits", True, f"control groups bound {' and '.join(sorted(group.controllers))}")


def _uv() -> Check:
    try:
        problem = _complaint([str(uv()), "--version"])
    except FileNotFoundError as error:
        problem = str(error)
    mend = "python -m pip install --force-reinstall uv"
    return Check("uv", not problem, problem or str(uv()), "" if not problem else mend)


def _disk(name: str, folder: Path, needed: int) -> Check:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB are free at {there}"
    if free >= needed:
        return Check(name, True, detail)
    return Check(
        name, False, f"{detail}; {needed / 1e9:.0f} GB are needed", f"du -xh {there} | sort -h | tail"
    )


def _clock() -> Check:
    now = dt.datetime.now(dt.UTC)
    mend = "sudo timedatectl set-ntp true"
    if now < _BUILT:
        return Check("clock", False, f"it says {now:%Y-%m-%d}, which is past", mend)
    if shutil.which("timedatectl"):
        said = _answer(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
        if said == "no":
            return Check("clock", False, "nothing keeps it right", mend, needed=False)
    return Check("clock", True, f"it says {now:%Y-%m-%d %H:%M} UTC")


def _master(host: str, port: int) -> Check:
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        detail = f"{host}:{port} does not answer: {error.strerror or error}"
        return Check("master", False, detail, f"nc -vz {host} {port}")
    return Check("master", True, f"{host}:{port} answers")


def _complaint(command: list[str]) -> str:
    """Run a command; returns the last line of what it complained of, empty where all is well."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _answer(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _install(packages: str) -> str:
    command = next((text for program, text in _INSTALLERS.items() if shutil.which(program)), "install:")
    return f"{command} {packages}"
