"""Talks to the master's process: starts it and waits until it answers, stops it, has it read its configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from pybots.config.folder import FarmFolder

UPGRADE_SECONDS = 300
POLL_SECONDS = 0.2
TAIL_LINES = 25


class MasterError(Exception):
    """The master could not be started, stopped or reconfigured; the text says why."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """What became of a reading of the configuration."""

    problems: list[str]
    from_last_good: bool


def running_master(folder: FarmFolder) -> psutil.Process | None:
    """Return the master's process, or None; a number that another program has by now is not it."""
    try:
        process = psutil.Process(int(folder.pid_file.read_text()))
        if (
            str(FarmFolder(folder.root.resolve()).tac) in process.cmdline()
            and process.status() != psutil.STATUS_ZOMBIE
        ):
            return process
    except (OSError, ValueError, psutil.Error):
        pass
    return None


def start_master(root: Path, timeout: float = 120) -> int:
    """Start the master of the farm in *root* and return its process number once it answers.

    Raises MasterError when it runs already, or does not answer within *timeout* seconds: it is then stopped.
    """
    folder = FarmFolder(root.resolve())
    prepare_master(folder)
    with folder.console_log.open("ab") as console:
        process = subprocess.Popen(
            master_command(folder),
            cwd=folder.master,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(folder, process, timeout)
    except MasterError:
        process.kill()
        process.wait()
        raise
    return process.pid


def master_command(folder: FarmFolder) -> list[str]:
    """Return the command that runs the master in the foreground."""
    return [
        *(sys.executable, "-m", "pybots.farm.run", "--nodaemon", "--no_save"),
        *("--pidfile", str(folder.pid_file), "--python", str(folder.tac)),
    ]


def prepare_master(folder: FarmFolder) -> None:
    """Write what twistd runs, and bring Buildbot's database up to date; raises MasterError where a master runs."""
    running = running_master(folder)
    if running is not None:
        msg = f"the master of {folder.root} runs already (process {running.pid})"
        raise MasterError(msg)
    from pybots.farm.application import TAC  # noqa: PLC0415  (Buildbot takes a second to import)

    folder.master.mkdir(parents=True, exist_ok=True)
    temporary = folder.tac.with_suffix(".part")
    temporary.write_text(TAC)
    os.replace(temporary, folder.tac)
    folder.pid_file.unlink(missing_ok=True)
    upgraded = subprocess.run(
        [sys.executable, "-m", "pybots.farm.buildbot_database", str(folder.root)],
        capture_output=True,
        text=True,
        timeout=UPGRADE_SECONDS,
        check=False,
    )
    if upgraded.returncode != 0:
        msg = f"Buildbot's database could not be prepared:\n{_tail(upgraded.stdout + upgraded.stderr)}"
        raise MasterError(msg)


def _wait_until_ready(folder: FarmFolder, process: subprocess.Popen[bytes], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            msg = f"the master ended while it started:\n{_last_words(folder)}"
            raise MasterError(msg)
        answer = _answer(folder)
        if answer is not None and answer["pid"] == process.pid and _answers(answer["ready"], process.pid):
            return
        time.sleep(POLL_SECONDS)
    msg = f"the master did not answer within {timeout:g} seconds:\n{_last_words(folder)}"
    raise MasterError(msg)


def _answers(address: str, pid: int) -> bool:
    try:
        answer = httpx.get(address, timeout=5, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.status_code == httpx.codes.OK and answer.text == str(pid)


def stop_master(root: Path, timeout: float = 60) -> bool:
    """Stop the master of the farm in *root*, by force after *timeout* seconds; False where none ran."""
    folder = FarmFolder(root.resolve())
    process = running_master(folder)
    if process is None:
        return False
    process.terminate()
    try:
        process.wait(timeout)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(10)
    folder.pid_file.unlink(missing_ok=True)
    return True


def reconfigure_master(root: Path, timeout: float = 60) -> Reconfigured:
    """Have the running master read its configuration again, and return what became of it."""
    folder = FarmFolder(root.resolve())
    process = running_master(folder)
    if process is None:
        msg = f"no master runs in {root}; `pybots start {root}` starts one"
        raise MasterError(msg)
    before = _answer(folder)
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        after = _answer(folder)
        if after is not None and after != before:
            return Reconfigured(after["problems"], after["from_last_good"])
        time.sleep(POLL_SECONDS)
    msg = f"the master did not say within {timeout:g} seconds what became of its configuration:\n{_last_words(folder)}"
    raise MasterError(msg)


def _answer(folder: FarmFolder) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(folder.reconfigured.read_text())
    except (OSError, ValueError):
        return None
    return answer


def _last_words(folder: FarmFolder) -> str:
    words = ""
    for path in (folder.console_log, folder.master / "twistd.log"):
        if path.exists():
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - 20_000))
                words += stream.read().decode(errors="replace")
    return _tail(words)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-TAIL_LINES:])
