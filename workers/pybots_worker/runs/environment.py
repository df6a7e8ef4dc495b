"""Makes the virtual environment of a run, and says what is installed in it."""

from __future__ import annotations

from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.steps import StepFailedError, ended, run_step


def uv_cache(cache: Path, identity: str) -> Path:
    """One cache for each build of an interpreter.

    uv would hand the extension that one interpreter built to any other of the same version.
    """
    return cache / "uv" / identity


def create_environment(place: Place, interpreter: Path, environment: dict[str, str]) -> None:
    """Create the run's environment. Raises RunEndedError(`worker-unfit`)."""
    command = [str(uv()), "venv", "--quiet", "--no-project", "--python", str(interpreter), str(place.venv)]
    try:
        run_step(place, "creating the environment", command, environment)
    except StepFailedError as error:
        raise ended(Ending.UNFIT, error) from error


def installed(place: Place, environment: dict[str, str]) -> dict[str, str]:
    """Map the distributions that were installed from an index to their versions; local ones are left out."""
    command = [str(uv()), "pip", "freeze", "--quiet", "--python", str(place.python)]
    try:
        output = run_step(place, "listing what is installed", command, environment)
    except StepFailedError as error:
        raise ended(Ending.UNFIT, error) from error
    return pins(output)


def pins(requirements: str) -> dict[str, str]:
    """Map names to versions for each `name==version` line of a requirements file."""
    found = {}
    for line in requirements.splitlines():
        name, separator, rest = line.partition("==")
        if separator and not line.startswith((" ", "#", "-")):
            found[name.strip().lower()] = rest.split()[0].rstrip(";")
    return found


def raise_unless_exact(place: Place, environment: dict[str, str], locked: str) -> None:
    """Raise RunEndedError(`environment-failed`) where something else is installed than the lock says."""
    wanted, found = pins(locked), installed(place, environment)
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        name = differing[0]
        detail = (
            f"what is installed is not what the lock says: {name} is {found.get(name, 'absent')}, "
            f"and should be {wanted.get(name, 'absent')} ({len(differing)} differ)"
        )
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
