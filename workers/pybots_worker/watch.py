"""Stands beside one program: reads its output, holds it to its limits, and tells how it ended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from pybots_worker.activity import Activity, out_of_memory_kills
from pybots_worker.alone import StoppedError, stop_if_alone
from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Limits
from pybots_worker.keeper import KILL_SECONDS, SANDBOX_PROCESSES, TERM_GRACE_SECONDS
from pybots_worker.sandbox.groups import Group
from pybots_worker.sandbox.limits import Kind, Met
from pybots_worker.sandbox.meter import Meter
from pybots_worker.sandbox.words import left_running

CHECK_SECONDS = 1.0
FACTS_BYTES = 1 << 16

Ending = Literal["exited", "wall-limit", "quiet-limit"] | Kind


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `exit_status` is None where it did not exit by itself."""

    exit_status: int | None
    signal: str
    """The signal that ended it by itself, by name; empty at a limit."""
    ending: Ending
    seconds: float
    truncated: bool
    """Whether what went to `stdout_to` was longer than `stdout_bytes`."""
    free_bytes: int | None = None
    """The least disk space that was seen free meanwhile, in the working folder or in TMPDIR."""
    memory_ran_out: bool = False
    """Whether the kernel killed processes meanwhile because this machine's memory had run out."""
    met: str = ""
    """Of a limit other than time: what the program did, after `it`: `used more memory than 4 GB`."""
    notes: tuple[str, ...] = ()
    """What else is to be said: processes it left running, limits that the kernel held it to."""

    @property
    def succeeded(self) -> bool:
        """Whether it exited by itself with status 0."""
        return self.exit_status == 0


class Watch:
    """One program under its keeper: its output, its limits, its end."""

    def __init__(
        self,
        task: dict[str, Any],
        log: BoundedLog,
        stdout: IO[bytes] | None,
        stdout_bytes: int,
        stop: list[int],
    ) -> None:
        inner = task["inside"] or task
        self._sandboxed = task["inside"] is not None
        self._folders = {inner["cwd"]}
        if not self._sandboxed:  # in it, the temporary folder has another name
            self._folders.add(inner["environment"].get("TMPDIR", inner["cwd"]))
        self._free: int | None = None
        self._out_of_memory = out_of_memory_kills()
        self._log, self._stdout, self._stdout_room, self._stop = log, stdout, stdout_bytes, stop
        self._truncated, self._printed = False, 0
        self._failure: OSError | None = None
        self._name: str = inner["command"][0]
        self._meter: Meter | None = None
        self._met: Met | None = None
        self._known: dict[str, Any] = {}
        self._untold = b""
        self._facts_fd, status_fd = os.pipe()
        os.set_blocking(self._facts_fd, False)
        self._started = time.monotonic()
        self._activity = Activity(self._started)
        self._ended = False
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-m", "pybots_worker.keeper", str(status_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stdout else subprocess.STDOUT,
            pass_fds=(status_fd,),
            start_new_session=True,
        )
        os.close(status_fd)
        self._give(task)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._keeper.stdout, self._keeper.stderr):
            if pipe:
                self._selector.register(pipe, selectors.EVENT_READ, self._sink(pipe is self._keeper.stdout))

    def bound(self, limits: Limits, folders: Sequence[Path], group: Group | None, *, counted: bool) -> None:
        """Hold it to limits beside time; *counted*: the kernel itself bounds the number of its processes."""
        self._folders |= {str(folder) for folder in folders}
        self._meter = Meter(
            limits,
            folders,
            group,
            self._program_pids,
            processes_bounded=counted,
            segments=lambda: self._facts().get("segments", 0),
        )

    def until_ended(self, wall_seconds: float, quiet_seconds: float | None) -> Ending:
        """Read output until nothing is left of the program; says which limit it met, if any."""
        checked = self._started
        while self._keeper.poll() is None:
            self._read(0.2)
            self._stop_if_asked()
            self._measure_disk()
            now = time.monotonic()
            if now - self._started >= wall_seconds:
                return "wall-limit"
            self._met = self._meter.met(self._printed) if self._meter else None
            if self._met:
                return self._met.kind
            if now - checked >= CHECK_SECONDS:
                checked = now
                self._activity.sample(self._processes(), now)
                if quiet_seconds is not None and now - self._activity.marked >= quiet_seconds:
                    return "quiet-limit"
        return "exited"

    def end(self) -> None:
        """End the program and all that it started, and read what it still says meanwhile."""
        if self._ended:
            return
        self._ended = True
        if self._keeper.poll() is None:
            self._keeper.terminate()
        deadline = time.monotonic() + TERM_GRACE_SECONDS + KILL_SECONDS + 5
        while self._keeper.poll() is None and time.monotonic() < deadline:
            self._read(0.2)
        if self._keeper.poll() != 0:  # the keeper itself is dead or stuck: end what was last seen below it
            for process in [*self._processes(), *self._activity.seen]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self._keeper.kill()
        self._keeper.wait()
        while self._read(0):
            pass
        self._facts()
        os.close(self._facts_fd)
        self._selector.close()

    def finished(self, ending: Ending) -> Finished:
        """What to tell of the program, once it is dead and before its group is gone.

        Raises OSError where it could not be started.
        """
        facts = self._known
        if "errno" in facts:
            raise OSError(facts["errno"], facts["error"], facts["file"])
        if self._sandboxed and "begun" not in facts:
            said = self._log.tail_text(3).strip() or "it did not say why"
            msg = f"the sandbox could not be made: {said}"
            raise OSError(errno.EPERM, msg)
        if self._failure:
            raise self._failure
        told = self._ended_by_itself(facts, ending)
        left = left_running(facts.get("left", []), facts.get("left_count", 0))
        notes = tuple(note for note in (*self._last_measure(), left) if note)
        if self._met:  # it may have ended just before it was told to
            told = replace(told, ending=self._met.kind, met=self._met.said, exit_status=None, signal="")
        return replace(told, notes=notes)

    def _last_measure(self) -> list[str]:
        if not self._meter:
            return []
        met, notes = self._meter.notes(self._printed)
        self._met = self._met or met
        return notes

    def _ended_by_itself(self, facts: dict[str, Any], ending: Ending) -> Finished:
        seconds = float(facts.get("seconds", time.monotonic() - self._started))
        if ending != "exited" and facts.get("told", True):  # else it ended just before it was told to
            return self._told(None, "", ending, seconds)
        status = facts.get("program", None if self._sandboxed else facts.get("status"))
        if status is None:
            return self._finished_without_keeper(facts, seconds)
        code = os.waitstatus_to_exitcode(status)
        name = _signal_name(-code) if code < 0 else ""
        return self._told(code if code >= 0 else None, name, "exited", seconds)

    def _finished_without_keeper(self, facts: dict[str, Any], seconds: float) -> Finished:
        """Tell of a program whose end nobody saw: the sandbox was killed, or the keeper."""
        if "status" in facts:
            return self._told(None, "SIGKILL", "exited", seconds)
        if self._keeper.returncode >= 0:
            msg = f"the keeper of {self._name} ended with status {self._keeper.returncode}; its log says why"
            raise OSError(msg)
        name = _signal_name(-self._keeper.returncode)
        return self._told(None, name, "exited", seconds)

    def _told(self, exit_status: int | None, name: str, ending: Ending, seconds: float) -> Finished:
        self._measure_disk()
        counted = self._meter.memory_ran_out if self._meter else None
        ran_out = out_of_memory_kills() > self._out_of_memory if counted is None else counted
        return Finished(exit_status, name, ending, seconds, self._truncated, self._free, ran_out)

    def _measure_disk(self) -> None:
        for folder in self._folders:
            with contextlib.suppress(OSError):  # the program may have removed it
                free = shutil.disk_usage(folder).free
                self._free = free if self._free is None else min(self._free, free)

    def _give(self, task: dict[str, Any]) -> None:
        assert self._keeper.stdin
        with contextlib.suppress(BrokenPipeError), self._keeper.stdin as pipe:
            pipe.write(json.dumps(task).encode())

    def _facts(self) -> dict[str, Any]:
        """All that the keeper, and the sandbox's first process, have told so far: our own programs, line by line."""
        with contextlib.suppress(BlockingIOError):
            self._untold += os.read(self._facts_fd, FACTS_BYTES)
        *lines, self._untold = self._untold.split(b"\n")
        for line in lines:
            self._known |= json.loads(line)
        return self._known

    def _sink(self, is_stdout: bool) -> Any:
        return self._keep if is_stdout and self._stdout else self._log.write

    def _keep(self, data: bytes) -> None:
        assert self._stdout
        self._truncated = self._truncated or len(data) > self._stdout_room
        try:
            self._stdout.write(data[: self._stdout_room])
            self._stdout_room -= min(len(data), self._stdout_room)
        except OSError as error:  # the disk is full: told at the end, once the program is gone
            self._failure, self._stdout_room = error, 0

    def _read(self, seconds: float) -> int:
        """Pass on what there is to read, waiting for it at most so long; returns how many bytes."""
        if not self._selector.get_map():
            time.sleep(min(seconds, 0.02))  # all pipes are closed; the keeper is about to end
            return 0
        got = 0
        for key, _events in self._selector.select(seconds):
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            key.data(data)
            got += len(data)
        self._printed += got
        if got:
            self._activity.mark(time.monotonic())
        return got

    def _stop_if_asked(self) -> None:
        if self._stop:
            msg = "told to stop"
            raise StoppedError(msg)
        stop_if_alone()

    def _processes(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._keeper.pid).children(recursive=True)
        except psutil.Error:
            return []

    def _program_pids(self) -> list[int]:
        """The program's processes, without what the sandbox itself consists of."""
        pids = [process.pid for process in self._processes()]
        return pids[SANDBOX_PROCESSES:] if self._sandboxed else pids


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
