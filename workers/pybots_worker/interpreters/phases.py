"""Runs the commands of a build phase by phase: each timed, limited, and with a status of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pybots_worker.contract import InterpreterStatus, Phase
from pybots_worker.processes import BoundedLog, Finished, run_limited

HEAD_BYTES = 4_000_000
TAIL_BYTES = 200_000
TAIL_LINES = 100
_DISK_FULL = os.strerror(errno.ENOSPC)


class CommandError(Exception):
    """A command of a phase failed, or what it made is not as it should be; the text says how."""


class PhaseFailedError(Exception):
    """A phase failed: the interpreter has the phase's status."""

    def __init__(self, status: InterpreterStatus, detail: str, log_tail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail[:500]
        self.log_tail = log_tail


@dataclass(slots=True)
class Commands:
    """Runs the commands of one phase within its time."""

    name: str
    environment: Mapping[str, str]
    log: BoundedLog
    deadline: float

    def run(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        environment: Mapping[str, str] | None = None,
        stdout_to: Path | None = None,
    ) -> None:
        """Run one command to its end. Raises CommandError where it fails or the phase's time is over."""
        finished = self.attempt(command, cwd, environment=environment, stdout_to=stdout_to)
        if not finished.succeeded:
            raise CommandError(_how_it_ended(command, finished))

    def attempt(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        environment: Mapping[str, str] | None = None,
        stdout_to: Path | None = None,
    ) -> Finished:
        """Run one command to its end, and say how it ended."""
        self.say("$ " + " ".join(command))
        try:
            return run_limited(
                command,
                cwd=cwd,
                environment={**self.environment, **(environment or {})},
                log=self.log,
                wall_seconds=max(0.1, self.deadline - time.monotonic()),
                stdout_to=stdout_to,
            )
        except OSError as error:
            if os.sep not in command[0]:
                raise  # a program that this machine lacks is the machine's fault
            msg = f"{command[0]} cannot be run: {error.strerror}"
            raise CommandError(msg) from error

    def say(self, line: str) -> None:
        """Add a line to the log."""
        self.log.write(f"{line}\n".encode(errors="replace"))


@dataclass(slots=True)
class Phases:
    """The phases of one build, as far as it has come."""

    environment: Mapping[str, str]
    limit_seconds: float
    echo: bool = True
    done: list[Phase] = field(default_factory=list)

    @contextlib.contextmanager
    def phase(self, name: str, status: InterpreterStatus) -> Iterator[Commands]:
        """Time what is done inside; a CommandError in it becomes a PhaseFailedError with `status`.

        Raises OSError where it failed because the disk is full, which is nobody's regression.
        """
        log = BoundedLog(HEAD_BYTES, TAIL_BYTES, echo=self.echo)
        log.write(f"=== {name}\n".encode())
        started = time.monotonic()
        succeeded = False
        try:
            yield Commands(name, self.environment, log, started + self.limit_seconds)
            succeeded = True
        except CommandError as error:
            tail = log.tail_text(TAIL_LINES)
            if _DISK_FULL in tail:
                raise OSError(errno.ENOSPC, _DISK_FULL) from error
            raise PhaseFailedError(status, f"{name}: {error}", tail) from error
        finally:
            self.done.append(
                Phase(name=name, seconds=round(time.monotonic() - started, 3), succeeded=succeeded)
            )


def _how_it_ended(command: Sequence[str], finished: Finished) -> str:
    shown = " ".join(command[:3])[:200]
    if finished.ending != "exited":
        return f"{shown} was stopped after {finished.seconds:.0f} seconds"
    if finished.signal:
        return f"{shown} was ended by {finished.signal}"
    return f"{shown} exited with status {finished.exit_status}"
