"""Keeps what the owner of this machine allowed in so many words, and what the master is told of its sandbox."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pybots_worker.sandbox.machine import grants
from pybots_worker.sandbox.words import refusal

FILE = "owner.json"
"""In the worker's folder, beside `buildbot.tac`."""
VARIABLE = "PYBOTS_OWNER_FILE"
"""Where our commands find it; set by `pybots-worker start`."""
_KEY = "run_projects_without_a_sandbox"
INFO = "sandbox"
"""The name under which the master gets the line that `told_to_master` returns."""


def keep(folder: Path, *, without_sandbox: bool | None) -> bool:
    """Keep the owner's word and return it; None leaves it as it is (at first: not allowed)."""
    path = folder / FILE
    if without_sandbox is None:
        return _read(path)
    temporary = path.with_name(f"{FILE}.part")
    temporary.write_text(json.dumps({_KEY: without_sandbox}) + "\n", encoding="utf-8")
    temporary.replace(path)
    return without_sandbox


def allows_without_sandbox() -> bool:
    """Whether the owner of this worker allowed it to run projects without a sandbox."""
    named = os.environ.get(VARIABLE, "")
    return bool(named) and _read(Path(named))


def told_to_master(*, allowed: bool) -> str:
    """One line: `yes`, or `allowed: ...` or `no: ...` with what is lacking (`pybots.fleet.sandbox` reads it)."""
    lack = grants().lack
    if lack is None:
        return "yes"
    return f"allowed: {lack.reason}" if allowed else f"no: {refusal(lack)}"


def _read(path: Path) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(_KEY) is True
    except (OSError, ValueError, AttributeError):
        return False
