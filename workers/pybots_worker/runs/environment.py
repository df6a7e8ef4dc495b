"""Makes the virtual environment of a run, and says what is installed in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import finish_removals, remove_tree
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.steps import StepFailedError, ended, run_step

KEPT = 5
"""How many interpreters' caches stay, besides those in use: each holds what was downloaded, too."""
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:==(?P<version>[^\s;]+)|@\s*(?P<commit>git\+\S+@[0-9a-f]{40}(?:#\S+)?)(?:\s|$))"
)


@contextlib.contextmanager
def uv_cache(cache: Path, identity: str, *, kept: int = KEPT) -> Iterator[Path]:
    """Hold the uv cache of one build of an interpreter, and remove those least recently used beyond `kept`.

    uv would hand the extension that one interpreter built to any other of the same version.
    """
    folder = cache / "uv"
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / identity).open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # whoever removes it holds it for no longer than that takes
        os.utime(lock.fileno())
        (folder / identity).mkdir(exist_ok=True)
        _remove_oldest(folder, identity, kept)
        yield folder / identity


def _lock(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _remove_oldest(folder: Path, used: str, kept: int) -> None:
    finish_removals(folder)
    places = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for place in sorted(places, key=_last_used, reverse=True)[kept:]:
        if place.name == used:
            continue
        with _lock(place).open("a", encoding="utf-8") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(place)


def _last_used(place: Path) -> float:
    try:
        return _lock(place).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def create_environment(place: Place, interpreter: Path, environment: dict[str, str]) -> None:
    """Create the run's environment. Raises RunEndedError.

    An interpreter that starts, and that uv cannot make an environment of, is no fault of this machine:
    `environment-failed`, on every machine alike.
    """
    command = [str(uv()), "venv", "--quiet", "--no-project", "--python", str(interpreter), str(place.venv)]
    try:
        run_step(place, "creating the environment", command, environment)
    except StepFailedError as error:
        raise ended(Ending.ENVIRONMENT_FAILED, error) from error


def frozen(place: Place, environment: dict[str, str]) -> str:
    """List what is installed, as `uv pip freeze` does. Raises RunEndedError(`worker-unfit`)."""
    command = [str(uv()), "pip", "freeze", "--quiet", "--python", str(place.python)]
    try:
        return run_step(place, "listing what is installed", command, environment)
    except StepFailedError as error:
        raise ended(Ending.UNFIT, error) from error


def pins(requirements: str) -> dict[str, str]:
    """Map names to what is exact about them: the version of `name==version`, the address of `name @ git+...@commit`."""
    found = {}
    for line in requirements.splitlines():
        match = _PIN.match(line)
        if match:
            found[match["name"].lower()] = match["version"] or match["commit"]
    return found


def incomplete(frozen: str, source: Path) -> list[str]:
    """List the lines that name neither a version nor a commit, those built from the project's source apart."""
    own = source.as_uri()
    return [
        line
        for line in frozen.splitlines()
        if line and not line.startswith("#") and not _PIN.match(line) and not _is_below(line, own)
    ]


def _is_below(line: str, address: str) -> bool:
    """Whether the address in a line is this one, or one below it."""
    _, found, rest = line.partition(address)
    return bool(found) and (not rest or rest[0] in "/#")


def raise_unless_exact(place: Place, environment: dict[str, str], locked: str) -> None:
    """Raise RunEndedError(`environment-failed`) where something else is installed than the lock says."""
    wanted, found = pins(locked), pins(frozen(place, environment))
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        name = differing[0]
        detail = (
            f"what is installed is not what the lock says: {name} is {found.get(name, 'absent')}, "
            f"and should be {wanted.get(name, 'absent')} ({len(differing)} differ)"
        )
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
