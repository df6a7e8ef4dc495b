"""Decides which limit a program met, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pybots_worker.contract import Limits

Kind = Literal["memory-limit", "disk-limit", "output-limit", "process-limit"]


@dataclass(frozen=True, slots=True)
class Met:
    """A limit that a program met, and for which it is stopped; `said` continues `the suite ...`."""

    kind: Kind
    said: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program has used so far, and what the kernel refused it."""

    memory_bytes: int = 0
    """Where the kernel does not bound it; else 0."""
    memory_refused: bool = False
    """Whether the kernel ended one of its processes at its own limit."""
    disk_bytes: int = 0
    """What was seen to be its own."""
    disk_hidden: bool = False
    """Whether there is more of its own that could not be looked at."""
    disk_gone_bytes: int = 0
    """How much less is free than when it began, whoever took it."""
    processes: int = 0
    """The most that were seen."""
    processes_bounded: bool = False
    """Whether the kernel refuses further ones."""
    processes_refused: bool = False
    most_open_files: int = 0
    printed_bytes: int = 0

    def notes(self, limits: Limits) -> list[str]:
        """Say which limits were met without an end to the program: tests may have failed because of them."""
        found = []
        if self.processes_refused or self.processes >= limits.processes:
            found.append(f"it met the limit of {limits.processes} processes")
        if self.most_open_files >= limits.open_files:
            found.append(f"it met the limit of {limits.open_files} open files")
        return found


def limit_met(limits: Limits, usage: Usage) -> Met | None:
    """Return the limit for which the program is to be stopped.

    What cannot be looked at is taken for as much as went from the disk meanwhile; where all can be, other programs of
    this machine are not held against it.
    Where the kernel refuses processes, nothing has to be stopped: its tests see the refusal, and the run names it.
    """
    if usage.memory_refused or usage.memory_bytes > limits.memory_bytes:
        return Met("memory-limit", f"used more memory than {amount(limits.memory_bytes)}")
    if usage.disk_bytes > limits.disk_bytes:
        return Met("disk-limit", f"wrote more than {amount(limits.disk_bytes)} to the disk")
    if usage.disk_hidden and usage.disk_gone_bytes > limits.disk_bytes:
        said = f"wrote where nobody can look, while more than {amount(limits.disk_bytes)} of the disk went"
        return Met("disk-limit", said)
    if usage.printed_bytes > limits.output_bytes:
        return Met("output-limit", f"printed more than {amount(limits.output_bytes)}")
    if usage.processes > limits.processes and not usage.processes_bounded:
        return Met("process-limit", f"had more than {limits.processes} processes")
    return None


def amount(number: int) -> str:
    """Write a number of bytes as a person would: 4 GB, 512 MB, 2500 bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number} bytes"
