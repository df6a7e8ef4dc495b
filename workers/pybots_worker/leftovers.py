"""Records what is running, and kills what an earlier worker left behind."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from pybots_worker.keeper import KILL_SECONDS

ACTIVE_FOLDER_VARIABLE = "PYBOTS_ACTIVE_FOLDER"
"""Where what is running is recorded, for `kill_leftovers`; set by `pybots-worker start`."""
TOKEN_VARIABLE = "PYBOTS_TOKEN"  # noqa: S105
"""In the environment of every program that we start: how its remains are known after a crash of ours."""


def kill_leftovers(active: Path) -> int:
    """Kill those that are recorded in this folder and what they left behind; returns how many.

    First our own commands (`recorded`), so that they start nothing more, then the programs that they started.
    """
    killed = _kill_owners(active)
    tokens = {}
    for path in active.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            tokens[str(json.loads(path.read_text())["token"])] = path
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if tokens and process.environ().get(TOKEN_VARIABLE) in tokens:
                process.kill()
                killed += 1
    for path in tokens.values():
        path.unlink(missing_ok=True)
    return killed


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Record this process where `kill_leftovers` looks, while it does what the master asked for."""
    folder = os.environ.get(ACTIVE_FOLDER_VARIABLE, "")
    if not folder:
        yield
        return
    path = Path(folder) / f"owner-{os.getpid()}.json"
    path.write_text(json.dumps({"owner": os.getpid()}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _kill_owners(active: Path) -> int:
    killed: list[psutil.Process] = []
    for path in active.glob("owner-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
            facts = json.loads(path.read_text())
            process = psutil.Process(facts["owner"])
            # Else the number went to another process; times of creation move with the clock.
            if process.environ().get(ACTIVE_FOLDER_VARIABLE) == str(active):
                process.kill()
                killed.append(process)
        path.unlink(missing_ok=True)
    psutil.wait_procs(killed, timeout=KILL_SECONDS)
    return len(killed)
