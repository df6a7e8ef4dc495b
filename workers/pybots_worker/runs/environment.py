"""Makes the virtual environment of a run."""

from __future__ import annotations

import re
from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.runs.place import Place
from pybots_worker.runs.steps import StepFailedError, ended
from pybots_worker.runs.uv_steps import Uv

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:==(?P<version>[^\s;]+)|@\s*(?P<commit>git\+\S+@[0-9a-f]{40}(?:#\S+)?)(?:\s|$))"
)


def create_environment(place: Place, interpreter: Path) -> None:
    """Create the run's environment. Raises RunEndedError.

    An interpreter that starts, and that uv cannot make an environment of, is no fault of this machine:
    `environment-failed`, on every machine alike.
    """
    try:
        Uv(place).create_venv(interpreter, place.venv)
    except StepFailedError as error:
        raise ended(Ending.ENVIRONMENT_FAILED, error) from error


def pins(requirements: str) -> dict[str, str]:
    """Map names to what is exact about them: the version of `name==version`, the address of `name @ git+...@commit`."""
    found = {}
    for line in requirements.splitlines():
        match = _PIN.match(line)
        if match:
            found[match["name"].lower()] = match["version"] or match["commit"]
    return found
