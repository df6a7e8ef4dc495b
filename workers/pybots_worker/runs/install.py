"""Installs the dependencies and the project, the usual way or by the recipe's own steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pybots_worker.contract import Ending, Lock
from pybots_worker.runs.built import built_wheels
from pybots_worker.runs.compatible import ask_target
from pybots_worker.runs.downloads import downloads_of
from pybots_worker.runs.files import Files
from pybots_worker.runs.installed import environment_digest, raise_unless_exact
from pybots_worker.runs.interpreter import Provided
from pybots_worker.runs.lock import (
    blame,
    find_project_section,
    freeze,
    is_buildable,
    lock_of,
    raise_unless_buildable,
    read_lock,
    resolve,
)
from pybots_worker.runs.locked import PROJECT, Entry
from pybots_worker.runs.phases import Phases, RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import fill
from pybots_worker.runs.steps import StepFailedError, ended, run_step
from pybots_worker.runs.suite import CANNOT_START
from pybots_worker.runs.uv_steps import Uv, Wheel, packages_here
from pybots_worker.runs.wheels import Wheels


@dataclass(frozen=True, slots=True)
class Installed:
    """The frozen environment, and the digest of what is really there.

    There is no lock only where a recipe's own steps installed what no index has.
    """

    lock: Lock | None
    environment_digest: str


def install(place: Place, phases: Phases, provided: Provided) -> Installed:
    """Install everything. Raises RunEndedError."""
    with _wheels(place, provided) as wheels:
        if place.specification.install is not None:
            return _own_way(place, phases, wheels, place.specification.install)
        return _usual_way(place, phases, wheels)


@contextmanager
def _wheels(place: Place, provided: Provided) -> Iterator[Wheels]:
    seconds = place.specification.limits.prepare_seconds
    with built_wheels(place.cache, provided.identity, seconds=seconds) as built:
        uv = Uv(place)
        target = ask_target(provided.python, place.clean_environment(), built.folder)
        yield Wheels(
            place,
            uv,
            provided.python,
            Files(
                uv,
                target,
                downloads_of(place, packages_here(place)),
            ),
            built,
            sections={},
            growing=place.specification.lock is None,
        )


def _usual_way(place: Place, phases: Phases, wheels: Wheels) -> Installed:
    """Without a lock the project is built first: its wheel says what it needs, and it is built once."""
    raise_unless_buildable(place)
    lock = place.specification.lock
    built = None
    if lock is None:
        if place.specification.build_isolation:
            with phases.run("build project"):
                find_project_section(place, wheels)
                built = _build_project(place, wheels)
        with phases.run("resolve"):
            entries = resolve(place, wheels, str(built.wheel if built else place.source))
            lock = lock_of(entries, wheels.sections)
    else:
        entries, wheels.sections = read_lock(lock)
    with phases.run("install dependencies"):
        installed = _install_lock(wheels, place, entries)
    if built is None:
        with phases.run("build project"):
            built = _build_project(place, wheels)
    with phases.run("install project"):
        _install_project(place, wheels, built)
        raise_unless_exact(place, installed, _commits(entries))
        return Installed(lock, environment_digest(place, built.built_with))


def _own_way(place: Place, phases: Phases, wheels: Wheels, steps: list[list[str]]) -> Installed:
    given = place.specification.lock
    environment = place.install_environment(place.work / "uv")
    network = True
    entries: list[Entry] = []
    installed: list[Wheel] = []
    if given is not None:
        entries, wheels.sections = read_lock(given)
        with phases.run("install dependencies"):
            installed = _install_lock(wheels, place, entries)
            environment |= _kept_to(place, wheels, entries)
        network = place.specification.network or any(entry.commit for entry in entries)
    with phases.run("install project"):
        for step in steps:
            _own_step(place, wheels, environment, fill(step, place.values()), network=network)
    with phases.run("freeze"):
        if given is None:
            frozen = freeze(place, wheels)
            return Installed(frozen[0] if frozen else None, environment_digest(place, []))
        raise_unless_exact(place, installed, _commits(entries))
        return Installed(given, environment_digest(place, []))


def _own_step(
    place: Place, wheels: Wheels, environment: dict[str, str], command: list[str], *, network: bool
) -> None:
    what = f"the recipe's step `{' '.join(command)[:120]}`"
    readable = [wheels.uv.given, *packages_here(place)]
    try:
        run_step(place, what, command, environment, cwd=place.source, network=network, readable=readable)
    except OSError as error:
        if error.errno not in CANNOT_START:
            raise
        detail = f"the recipe's step cannot be started: {command[0]}: {error.strerror}"
        raise RunEndedError(Ending.INSTALL_FAILED, detail) from error
    except StepFailedError as error:
        raise ended(blame(place, error, otherwise=Ending.INSTALL_FAILED), error) from error


def _install_lock(wheels: Wheels, place: Place, entries: list[Entry]) -> list[Wheel]:
    """Install exactly the lock; nothing is resolved, and no code of the distributions runs."""
    folder = _wheelhouse(wheels)
    found = wheels.collect(entries, folder)
    try:
        wheels.uv.install(place.venv, folder, found, "installing the dependencies")
    except StepFailedError as error:
        raise ended(Ending.ENVIRONMENT_FAILED, error) from error
    return found


def _wheelhouse(wheels: Wheels) -> Path:
    return wheels.uv.given / "wheels"


@dataclass(frozen=True, slots=True)
class _Built:
    """The project's wheel, and what it was built with: nothing, where that is the environment itself."""

    wheel: Path
    built_with: list[Wheel]


def _build_project(place: Place, wheels: Wheels) -> _Built:
    """Build the project, always anew."""
    isolated = place.specification.build_isolation
    built_with = _ready_to_build(place, wheels) if isolated else []
    python = wheels.uv.build_python if isolated else place.python
    target = place.empty("out")
    try:
        name = wheels.backend(wheels.uv, place.source, python).build("building the project", target)
    except StepFailedError as error:
        raise ended(Ending.INSTALL_FAILED, error) from error
    return _Built(target / name, built_with)


def _install_project(place: Place, wheels: Wheels, built: _Built) -> None:
    try:
        wheels.uv.install_file(place.venv, built.wheel, "installing the project")
    except StepFailedError as error:
        raise ended(Ending.INSTALL_FAILED, error) from error


def _ready_to_build(place: Place, wheels: Wheels) -> list[Wheel]:
    section = wheels.sections.get(PROJECT)
    if section is None:
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, "the lock does not say what builds the project")
    if wheels.growing:  # it was made when this was found out
        return wheels.collect(section, wheels.uv.given / "build")
    installed = wheels.install_section(wheels.uv, section, PROJECT)
    try:
        wheels.check_section(wheels.uv, place.source, installed, PROJECT)
    except StepFailedError as error:
        raise ended(Ending.INSTALL_FAILED, error) from error
    return installed


def _kept_to(place: Place, wheels: Wheels, entries: list[Entry]) -> dict[str, str]:
    """What keeps the recipe's own steps to the lock, whether they use uv or pip: there is nothing else to be had."""
    folder = _wheelhouse(wheels)
    section = wheels.sections.get(PROJECT, [])
    wheels.collect(section, folder)
    if not section and is_buildable(place):
        place.log.say("the lock does not say what builds the project\n")
    configuration = wheels.uv.given / "own.toml"
    configuration.write_text(f"no-index = true\nfind-links = {json.dumps([str(folder)])}\n")
    variables = {
        "UV_CONFIG_FILE": str(configuration),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
    }
    for name, locked in (("CONSTRAINT", entries), ("BUILD_CONSTRAINT", section)):
        path = wheels.uv.given / f"{name.lower()}.txt"
        path.write_text("".join(f"{entry.label}\n" for entry in locked))
        variables |= {f"UV_{name}": str(path), f"PIP_{name}": str(path)}
    return variables


def _commits(entries: list[Entry]) -> list[str]:
    return [entry.commit for entry in entries if entry.commit]
