"""Decides whether a phase failed because of this machine, which is nobody's regression."""

from __future__ import annotations

import errno
import re
from enum import Enum

FREE_BYTES_BEFORE = 500_000_000
"""With less than this no build is begun. A clean CPython needs about three times as much, an incremental one less."""
FREE_BYTES_AFTER = 50_000_000
"""With less than this left, whatever failed may have failed for want of room."""

_CCACHE = re.compile(r"\bccache: error")
_DISK = re.compile(r"No space left on device|Disk quota exceeded|\[Errno 28\]")
_MEMORY = re.compile(
    r"Cannot allocate memory|virtual memory exhausted|out of memory allocating"
    r"|Killed signal|(fatal error|compiler error|execute command): Killed|\bSIGKILL\b|\b\d+ Killed\b"
    r"|^make(\[\d+\])?: \*\*\* .*\b(Killed|Error 137)$",
    re.MULTILINE,
)


class Fault(Enum):
    """What is wrong with the machine."""

    DISK = errno.ENOSPC
    MEMORY = errno.ENOMEM
    CCACHE = errno.EIO


class MachineError(OSError):
    """This machine failed, not the commit: the build can be made elsewhere, or later."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(fault.value, detail)
        self.fault = fault


def find_fault(said: str, free_bytes: int) -> Fault | None:
    """Say what is wrong with the machine, from what a failed phase said and the room that is left."""
    if free_bytes < FREE_BYTES_AFTER:
        return Fault.DISK
    if _CCACHE.search(said):
        return Fault.CCACHE  # before the others: its own disk may be full, and one can build without it
    if _DISK.search(said):
        return Fault.DISK
    return Fault.MEMORY if _MEMORY.search(said) else None


def describe_fault(fault: Fault, said: str, free_bytes: int) -> str:
    """Return the line that shows the fault, or how much room is left."""
    patterns = {Fault.DISK: _DISK, Fault.MEMORY: _MEMORY, Fault.CCACHE: _CCACHE}
    lines = [line.strip() for line in said.splitlines() if patterns[fault].search(line)]
    return lines[-1][:400] if lines else f"{free_bytes / 1e6:.0f} MB are free"
