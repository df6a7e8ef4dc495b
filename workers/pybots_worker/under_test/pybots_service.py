"""Runs a suite beside the service that it needs: starts it, waits until it is ready, and stops it afterwards.

`python -I -S pybots_service.py PLAN`, in the suite's own sandbox, with the worker's Python: what is tested must not
decide whether the service is there. PLAN is JSON:

    {"start": [...], "ready": [...], "suite": [...], "seconds": 60, "failure": "FILE"}

It ends as the suite does, with the same status or by the same signal. Where the service does not come up, or ends
before the suite does, the reason is written to FILE, and the suite's end says nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

STOP_SECONDS = 5.0
ASK_SECONDS = 10.0
"""For one answer to whether it is ready."""
SEEN_ENDING_SECONDS = 0.5
LAST_BYTES = 4000
STANDARD_ERROR = 2
EX_UNAVAILABLE = 69
EX_NOT_FOUND = 127


class NotThereError(Exception):
    """The service is not there: the message says why."""


class Program:
    """A program whose output goes to our standard error (standard output may be the suite's report)."""

    def __init__(self, command: Sequence[str]) -> None:
        self.name = os.path.basename(command[0])
        self._last = b""
        try:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            msg = f"{command[0]} cannot be started: {error.strerror}"
            raise NotThereError(msg) from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        while data := os.read(self.process.stdout.fileno(), 65536):
            self._last = (self._last + data)[-LAST_BYTES:]
            with contextlib.suppress(OSError):
                os.write(STANDARD_ERROR, data)

    def said(self) -> str:
        """The last line that it printed, after a colon; empty where it printed nothing."""
        self._reader.join(0.5)
        lines = self._last.decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1].strip()[:300]}" if lines else ""

    def ending(self) -> str:
        """How it ended; empty while it runs."""
        code = self.process.poll()
        if code is None:
            return ""
        return f"exited with status {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"

    def stop(self) -> None:
        """Ask it to end, and kill it and its children where it does not."""
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 1.0)):
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)


def main(arguments: list[str]) -> int:
    """Carry out the plan."""
    plan: dict[str, Any] = json.loads(arguments[0])
    try:
        code = run(plan)
    except NotThereError as error:
        with open(plan["failure"], "w", encoding="utf-8") as file:
            file.write(str(error))
        sys.stderr.write(f"\nthe service {error}\n")
        return EX_UNAVAILABLE
    except OSError as error:
        sys.stderr.write(f"the test command cannot be started: {plan['suite'][0]}: {error.strerror}\n")
        return EX_NOT_FOUND
    if code < 0:  # die of what the suite died of
        sys.stderr.flush()
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        time.sleep(1)
    return abs(code)


def run(plan: dict[str, Any]) -> int:
    """Run the suite while the service runs; returns its status, or a signal below zero. Raises NotThereError."""
    service = Program(plan["start"])
    try:
        _wait_until_ready(service, plan["ready"], plan["seconds"])
        sys.stderr.write("\nthe service is ready\n")
        sys.stderr.flush()
        return _beside(service, plan["suite"])
    finally:
        service.stop()


def _wait_until_ready(service: Program, question: Sequence[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    answer = ""
    while True:
        if service.ending():
            msg = f"{service.ending()} before it was ready{service.said()}"
            raise NotThereError(msg)
        if time.monotonic() > deadline:
            msg = f"was not ready within {seconds:g} s{answer or service.said()}"
            raise NotThereError(msg)
        asked = Program(question)
        try:
            code = asked.process.wait(min(ASK_SECONDS, max(deadline - time.monotonic(), 0.1)))
        except subprocess.TimeoutExpired:
            asked.stop()
        else:
            if code == 0 and not service.ending():
                return
        answer = asked.said()
        time.sleep(0.1)


def _beside(service: Program, command: Sequence[str]) -> int:
    """Run the suite to its end. Raises NotThereError where the service ends first; OSError where it cannot start."""
    suite = subprocess.Popen(command)
    code = 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = suite.wait(0.2)
            break
        if service.ending():
            break
    if code:  # tests may have failed because the service is about to be gone
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.process.wait(SEEN_ENDING_SECONDS)
    ending = service.ending()
    if ending:  # what the suite says of tests is not to be believed
        suite.kill()
        suite.wait()
        msg = f"{ending} while the suite ran{service.said()}"
        raise NotThereError(msg)
    return code


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
