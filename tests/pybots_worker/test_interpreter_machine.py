from __future__ import annotations

import errno

import pytest

from pybots_worker.interpreters.machine import (
    FREE_BYTES_AFTER,
    Fault,
    MachineError,
    describe_fault,
    find_fault,
)

ROOM = FREE_BYTES_AFTER


@pytest.mark.parametrize(
    ("said", "free", "fault"),
    [
        ("Python/ceval.c:1: error: expected ';'", ROOM, None),
        ("Python/ceval.c:1: error: expected ';'", ROOM - 1, Fault.DISK),
        ("test_killed.py\nint Killed;\nKilled by nobody", ROOM, None),
        ("make: *** [Makefile:10: x.o] Error 1", ROOM, None),
        ("fatal: cannot write: No space left on device", ROOM, Fault.DISK),
        ("OSError: [Errno 28] write", ROOM, Fault.DISK),
        ("cp: x: Disk quota exceeded", ROOM, Fault.DISK),
        ("gcc: fatal error: Killed signal terminated program cc1", ROOM, Fault.MEMORY),
        ("gcc: internal compiler error: Killed (program cc1)", ROOM, Fault.MEMORY),
        ("clang: error: unable to execute command: Killed", ROOM, Fault.MEMORY),
        ("cc1: out of memory allocating 65536 bytes", ROOM, Fault.MEMORY),
        ("fork: Cannot allocate memory", ROOM, Fault.MEMORY),
        ("/bin/sh: line 1:  4711 Killed                  ./_bootstrap_python", ROOM, Fault.MEMORY),
        ("a\nmake[1]: *** [Makefile:1: x] Killed\nb", ROOM, Fault.MEMORY),
        ("make: *** [Makefile:1: x] Error 137", ROOM, Fault.MEMORY),
        ("make -j2 was ended by SIGKILL", ROOM, Fault.MEMORY),
        ("ccache: error: failed to write x: No space left on device", ROOM, Fault.CCACHE),
        ("ccache: error: execv of /usr/bin/gcc failed", ROOM, Fault.CCACHE),
        ("ccache: error: failed to write x", ROOM - 1, Fault.DISK),
    ],
)
def test_whose_fault_it_is(said: str, free: int, fault: Fault | None) -> None:
    assert find_fault(said, free) == fault


def test_the_message_shows_the_line_or_the_room() -> None:
    said = "cc x.c\ncc1: out of memory allocating 1 byte\nmake: Error 1"
    assert describe_fault(Fault.MEMORY, said, ROOM) == "cc1: out of memory allocating 1 byte"
    assert describe_fault(Fault.DISK, said, 12_000_000) == "12 MB are free"
    assert MachineError(Fault.DISK, "x").errno == errno.ENOSPC
