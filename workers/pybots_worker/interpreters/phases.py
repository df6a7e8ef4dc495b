"""Runs the commands of a build phase by phase: each timed, limited, and with a status of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pybots_worker.contract import InterpreterStatus, Phase
from pybots_worker.interpreters.machine import (
    FREE_BYTES_BEFORE,
    Fault,
    MachineError,
    describe_fault,
    find_fault,
)
from pybots_worker.processes import BoundedLog, Finished, run_limited

HEAD_BYTES = 4_000_000
TAIL_BYTES = 200_000
TAIL_LINES = 100
_FAULT_LINES = 2000
"""With several compilers at once, the one that was killed may have said so long before the last line."""
_EVIDENCE_BYTES = 20_000_000


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
    home: Path
    """A folder on the disk that has to have room."""
    echo: bool = True
    done: list[Phase] = field(default_factory=list)

    @contextlib.contextmanager
    def phase(
        self, name: str, status: InterpreterStatus, *, evidence: Path | None = None
    ) -> Iterator[Commands]:
        """Time what is done inside; a CommandError in it becomes a PhaseFailedError with `status`.

        `evidence` is a log that the phase writes. Raises MachineError where the phase failed because of this machine,
        or where the evidence says that a step of it did: then its result cannot be trusted, even if it ended well.
        """
        log = BoundedLog(HEAD_BYTES, TAIL_BYTES, echo=self.echo)
        log.write(f"=== {name}\n".encode())
        started = time.monotonic()
        succeeded = False
        try:
            yield Commands(name, self.environment, log, started + self.limit_seconds)
            self._blame_machine(name, _read(evidence), ended_well=True)
            succeeded = True
        except CommandError as error:
            said = "\n".join([_read(evidence), log.tail_text(_FAULT_LINES), str(error)])
            self._blame_machine(name, said)
            raise PhaseFailedError(status, f"{name}: {error}", log.tail_text(TAIL_LINES)) from error
        finally:
            self.done.append(
                Phase(name=name, seconds=round(time.monotonic() - started, 3), succeeded=succeeded)
            )

    def require_place(self) -> None:
        """Raises OSError where the folder is none to build in: too little room, or a path that make cannot take."""
        if len(str(self.home).split()) != 1:
            msg = f"CPython cannot be built in a folder whose path has a space: {self.home}"
            raise OSError(msg)
        free = shutil.disk_usage(self.home).free
        if free < FREE_BYTES_BEFORE:
            msg = f"{free / 1e6:.0f} MB are free in {self.home}; {FREE_BYTES_BEFORE / 1e6:.0f} MB are needed"
            raise MachineError(Fault.DISK, msg)

    def _blame_machine(self, name: str, said: str, *, ended_well: bool = False) -> None:
        """Raise MachineError for a fault; where the phase ended well, the room that is left says nothing."""
        free = shutil.disk_usage(self.home).free
        fault = find_fault(said, FREE_BYTES_BEFORE if ended_well else free)
        if fault:
            raise MachineError(fault, f"{name}: {describe_fault(fault, said, free)}")


def _read(evidence: Path | None) -> str:
    if evidence is None or not evidence.is_file():
        return ""
    with evidence.open("rb") as stream:
        return stream.read(_EVIDENCE_BYTES).decode(errors="replace")


def _how_it_ended(command: Sequence[str], finished: Finished) -> str:
    shown = " ".join(command[:3])[:200]
    if finished.ending != "exited":
        return f"{shown} was stopped after {finished.seconds:.0f} seconds"
    if finished.signal:
        return f"{shown} was ended by {finished.signal}"
    return f"{shown} exited with status {finished.exit_status}"
