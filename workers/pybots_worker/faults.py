"""Makes a fault of donated machines on purpose, as really as can be: for tests and `pybots replay`, and nothing else.

The variable PYBOTS_WORKER_FAULT of a worker names a file. Its first word is the fault, looked at as each run begins;
where there is no file, or it is empty, all is well. A second part, on the same line, is the phase at whose beginning it
comes; the suite's, where there is none.

    disk-full       the run's folder lies on a file system of its own, and that is full from then on
    network-lost    the worker's connection to the master is cut
    clock-jump      the clock by which the worker sees whether its own clock is right is four hours ahead
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pybots_worker.contract import LOG_FILE, REPORT_FILE, RESULT_FILE, Phase
from pybots_worker.fault_disk import small_file_system

VARIABLE = "PYBOTS_WORKER_FAULT"
SUITE = "suite"
JUMP_SECONDS = 4 * 3600.0
ROOM_BYTES = 2_000_000_000
"""Of the disk that becomes full; it takes memory only as it is filled."""
_CUT = ".cut"
_CUT_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class Fault(StrEnum):
    """What goes wrong."""

    DISK_FULL = "disk-full"
    NETWORK_LOST = "network-lost"
    CLOCK_JUMP = "clock-jump"


@dataclass(frozen=True, slots=True)
class Asked:
    """A fault, the phase with which it comes, and the file that asks for it."""

    fault: Fault
    phase: str
    file: Path


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run is carried out with."""

    folder: Path
    wall_clock: Callable[[], float]
    announce: Callable[[str, Phase | None], None]


def asked_for(environment: Mapping[str, str]) -> Asked | None:
    """Return the fault to make, if any. Raises ValueError where the file names none that there is."""
    named = environment.get(VARIABLE, "")
    file = Path(named)
    if not named or not file.is_file():
        return None
    word, _, phase = file.read_text(encoding="utf-8").strip().partition(" ")
    return Asked(Fault(word), phase.strip() or SUITE, file) if word else None


@contextlib.contextmanager
def made(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Conditions]:
    """Make the fault that is asked for while a run is carried out; its result is then where it always is.

    Raises OSError where this machine does not let us make it.
    """
    asked = asked_for(environment)
    if asked is None:
        yield Conditions(folder, time.time, lambda name, phase: None)
    elif asked.fault is Fault.DISK_FULL:
        with small_file_system(folder / "small", ROOM_BYTES) as disk:
            yield Conditions(disk.folder, time.time, _when(asked.phase, disk.fill))
            _hand_out(disk.folder, folder)
    elif asked.fault is Fault.CLOCK_JUMP:
        ahead: list[float] = []
        jump = _when(asked.phase, lambda: ahead.append(JUMP_SECONDS))
        yield Conditions(folder, lambda: time.time() + sum(ahead), jump)
    else:
        yield Conditions(folder, time.time, _when(asked.phase, lambda: _ask_for_cut(asked.file)))


def cut_when_asked(worker: Any, environment: Mapping[str, str] = os.environ) -> None:
    """Have a `buildbot-worker` drop its connection whenever a run asks for that."""
    named = environment.get(VARIABLE, "")
    if not named:
        return
    from twisted.internet.task import LoopingCall  # noqa: PLC0415  (in a worker's own process alone)

    LoopingCall(_cut_if_asked, worker, Path(named + _CUT)).start(_LOOK_SECONDS, now=False)


def _cut_if_asked(worker: Any, sign: Path) -> None:
    if sign.exists():
        sign.unlink()
        if worker.bf.perspective is not None:
            worker.bf.perspective.broker.transport.abortConnection()


def _ask_for_cut(file: Path) -> None:
    """Ask our worker to cut its connection; it then ends this process."""
    sign = file.with_name(file.name + _CUT)
    sign.touch()
    deadline = time.monotonic() + _CUT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    sign.unlink(missing_ok=True)


def _when(wanted: str, act: Callable[[], object]) -> Callable[[str, Phase | None], None]:
    def announce(name: str, phase: Phase | None) -> None:
        if phase is None and name == wanted:
            act()

    return announce


def _hand_out(here: Path, target: Path) -> None:
    """Copy what a run leaves; the result last."""
    for name in (REPORT_FILE, LOG_FILE, RESULT_FILE):
        with contextlib.suppress(FileNotFoundError):
            (target / name).write_bytes((here / name).read_bytes())
