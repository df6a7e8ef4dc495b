"""Talks to the system about the demonstration's own processes: starts them, and leaves nothing of them alive.

Each one stands below a `pybots_worker.keeper`, which ends it and all that it started when it is told to, and
also when the demonstration itself is gone without a word (kill -9).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

STOP_SECONDS = 30.0
TAIL_BYTES = 3000


class ChildEndedError(Exception):
    """A process that should go on has ended; the message says which, and the last lines of its log."""


class Child:
    """One process under its keeper; its output goes to *log*."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        status_read, status_write = os.pipe()
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-m", "pybots_worker.keeper", str(status_write)],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(status_write,),
                start_new_session=True,
            )
        os.close(status_write)
        os.close(status_read)  # its log says how it ended; the keeper does not mind that nobody reads
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError), self._keeper.stdin as pipe:
            pipe.write(json.dumps(_task(command, folder, environment)).encode())

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._keeper.poll() is None

    def check(self) -> None:
        """Raise ChildEndedError when it has ended."""
        if not self.alive():
            raise ChildEndedError(f"{self.name} has ended; the end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError as error:
            return f"(it cannot be read: {error.strerror})"

    def begin_to_stop(self) -> None:
        """Tell it to end, without waiting."""
        if self.alive():
            self._keeper.terminate()

    def stop(self) -> None:
        """End it and all that it started."""
        self.begin_to_stop()
        try:
            self._keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()


def stop_all(children: Sequence[Child]) -> None:
    """End all of *children* at the same time."""
    for child in children:
        child.begin_to_stop()
    for child in children:
        child.stop()


def _task(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> dict[str, object]:
    # What a worker runs is found beside the Python that runs this.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "program": command[0],
        "command": list(command),
        "cwd": str(folder),
        "environment": {**os.environ, **environment, "PATH": path, "PYTHONUNBUFFERED": "1"},
        "token": "",
        "active": "",
    }


def own_program(name: str) -> str:
    """The path of one of Pybots' own programs, beside the Python that runs this."""
    return str(Path(sys.executable).parent / name)
