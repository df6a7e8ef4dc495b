"""Installs the dependencies and the project, the usual way or by the recipe's own steps."""

from __future__ import annotations

import re

from pybots_worker.contract import Ending, Lock
from pybots_worker.runs.environment import raise_unless_exact
from pybots_worker.runs.explain import Trouble
from pybots_worker.runs.lock import blame, freeze, is_hashed, resolve
from pybots_worker.runs.phases import Phases, RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.placeholders import fill
from pybots_worker.runs.steps import StepFailedError, ended, run_step
from pybots_worker.runs.suite import CANNOT_START


def install(place: Place, phases: Phases, environment: dict[str, str]) -> Lock | None:
    """Install everything and return the frozen environment.

    None only where a recipe's own steps installed what no index has. Raises RunEndedError.
    """
    if place.specification.install is not None:
        return _own_way(place, phases, environment, place.specification.install)
    return _usual_way(place, phases, environment)


def _usual_way(place: Place, phases: Phases, environment: dict[str, str]) -> Lock:
    lock = place.specification.lock
    if lock is None:
        with phases.run("resolve"):
            lock = resolve(place, environment)
    with phases.run("install dependencies"):
        _install_lock(place, environment, lock)
    with phases.run("install project"):
        _install_project(place, environment, lock)
        raise_unless_exact(place, environment, lock.requirements)
    return lock


def _own_way(
    place: Place, phases: Phases, environment: dict[str, str], steps: list[list[str]]
) -> Lock | None:
    given = place.specification.lock
    if given is not None:
        with phases.run("install dependencies"):
            _install_lock(place, environment, given)
        environment = environment | _constrained_to(place, given)
    with phases.run("install project"):
        for step in steps:
            _own_step(place, environment, fill(step, place.values()))
    with phases.run("freeze"):
        if given is None:
            return freeze(place, environment)
        raise_unless_exact(place, environment, given.requirements)
        return given


def _own_step(place: Place, environment: dict[str, str], command: list[str]) -> None:
    try:
        run_step(
            place, f"the recipe's step `{' '.join(command)[:120]}`", command, environment, cwd=place.source
        )
    except OSError as error:
        if error.errno not in CANNOT_START:
            raise
        detail = f"the recipe's step cannot be started: {command[0]}: {error.strerror}"
        raise RunEndedError(Ending.INSTALL_FAILED, detail) from error
    except StepFailedError as error:
        raise ended(blame(place, error, otherwise=Ending.INSTALL_FAILED), error) from error


def _install_lock(place: Place, environment: dict[str, str], lock: Lock) -> None:
    """Install exactly the lock; nothing is resolved."""
    if not lock.requirements.strip():
        return
    path = place.work / "lock.txt"
    path.write_text(lock.requirements)
    hashed = ["--require-hashes"] if is_hashed(lock.requirements) else []
    command = [
        str(uv()),
        "pip",
        "install",
        "--python",
        str(place.python),
        "--no-deps",
        *hashed,
        "-r",
        path.name,
    ]
    constraints = _build_constraints(place, lock)
    try:
        try:
            run_step(place, "installing the dependencies", [*command, *constraints], environment)
        except StepFailedError as error:
            if not constraints or error.explanation.trouble is not Trouble.RESOLVE:
                raise
            # They were chosen for the project's build; a dependency's may ask for something else.
            place.log.write(b"\nthe build constraints do not fit a dependency; once more without them\n")
            run_step(place, "installing the dependencies", command, environment)
    except StepFailedError as error:
        raise ended(Ending.ENVIRONMENT_FAILED, error) from error


def _install_project(place: Place, environment: dict[str, str], lock: Lock) -> None:
    """Build the project, always anew, and install the wheel."""
    wheels = place.work / "wheels"
    command = [str(uv()), "build", "--wheel", "--no-sources", "--python", str(place.python)]
    command += ["--out-dir", str(wheels), *_build_options(place, lock), str(place.source)]
    try:
        run_step(place, "building the project", command, environment)
        wheel = next(iter(sorted(wheels.glob("*.whl"))))
        command = [
            str(uv()),
            "pip",
            "install",
            "--python",
            str(place.python),
            "--no-deps",
            "--no-cache",
            str(wheel),
        ]
        run_step(place, "installing the project", command, environment)
    except StepFailedError as error:
        raise ended(blame(place, error, otherwise=Ending.INSTALL_FAILED), error) from error


def _build_options(place: Place, lock: Lock) -> list[str]:
    if not place.specification.build_isolation:
        return ["--no-build-isolation"]
    return _build_constraints(place, lock)


def _build_constraints(place: Place, lock: Lock) -> list[str]:
    if not lock.build_constraints.strip():
        return []
    path = place.work / "build-constraints.txt"
    path.write_text(lock.build_constraints)
    return ["--build-constraints", str(path)]


def _constrained_to(place: Place, lock: Lock) -> dict[str, str]:
    """What keeps the recipe's own steps to the lock, whether they use uv or pip."""
    variables: dict[str, str] = {}
    for name, text in (("CONSTRAINT", lock.requirements), ("BUILD_CONSTRAINT", lock.build_constraints)):
        path = place.work / f"{name.lower()}.txt"
        path.write_text(re.sub(r" \\\n|\s+--hash=\S+", "", text))
        variables |= {f"UV_{name}": str(path), f"PIP_{name}": str(path)}
    return variables
