"""Freezes an environment: chooses exact versions and files, for what is installed and for what builds it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pybots_worker.contract import Ending, Lock, lock_digest
from pybots_worker.runs.explain import Trouble
from pybots_worker.runs.installed import others
from pybots_worker.runs.locked import (
    PROJECT,
    Entry,
    LockError,
    read_entries,
    read_sections,
    write_entries,
    write_sections,
)
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import fill_text
from pybots_worker.runs.steps import StepFailedError, ended
from pybots_worker.runs.wheels import Wheels

_LONGEST = 2_000_000
"""What the contract lets a lock's text hold."""


def make_lock(requirements: str, build_constraints: str) -> Lock:
    """Put the two files and their digest together."""
    return Lock(
        requirements=requirements,
        build_constraints=build_constraints,
        digest=lock_digest(requirements, build_constraints),
    )


def lock_of(entries: Sequence[Entry], sections: Mapping[str, Sequence[Entry]]) -> Lock:
    """Write a lock. Raises RunEndedError where there is more than a lock may hold."""
    requirements, build = write_entries(entries), write_sections(sections)
    if max(len(requirements), len(build)) > _LONGEST:
        detail = f"the environment has more distributions than a lock of {_LONGEST} characters can name"
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
    return make_lock(requirements, build)


def read_lock(lock: Lock) -> tuple[list[Entry], dict[str, list[Entry]]]:
    """Read a lock that was given. Raises RunEndedError(`environment-failed`) where it is none."""
    if lock.digest != lock_digest(lock.requirements, lock.build_constraints):
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, "the lock is not the one that its digest names")
    try:
        return read_entries(lock.requirements), read_sections(lock.build_constraints)
    except LockError as error:
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, f"the lock cannot be read: {error}") from error


def resolve(place: Place, wheels: Wheels, project: str) -> list[Entry]:
    """Choose versions for the recipe's requirements and the project's own, and find out what builds them.

    `project` is where the project is: its wheel, or its source. Raises RunEndedError: `environment-failed` where
    there is no solution or a dependency does not build, `install-failed` where the project cannot say what it needs.
    """
    specification = place.specification
    source = place.source
    extras = f"[{','.join(specification.extras)}]" if specification.extras else ""
    lines = [fill_text(line, place.values()) for line in specification.requirements]
    groups = [f"--group={source / 'pyproject.toml'}:{group}" for group in specification.groups]
    try:
        entries = wheels.uv.compile("requirements", [*lines, f"{project}{extras}"], groups)
    except LockError as error:
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, str(error)) from error
    except StepFailedError as error:
        raise ended(blame(place, error, otherwise=Ending.ENVIRONMENT_FAILED), error) from error
    wheels.find_sections(entries)
    return entries


def is_buildable(place: Place) -> bool:
    """Whether the source says how it is built."""
    names = ("pyproject.toml", "setup.py")
    return any(os.path.isfile(place.source / name) for name in names)  # noqa: PTH113  (never raises)


def raise_unless_buildable(place: Place) -> None:
    """Raise RunEndedError(`install-failed`) where the source does not say how it is built."""
    if not is_buildable(place):
        detail = (
            "the source has neither pyproject.toml nor setup.py; a recipe with its own steps can do without"
        )
        raise RunEndedError(Ending.INSTALL_FAILED, detail)


def find_project_section(place: Place, wheels: Wheels) -> None:
    """Find out what builds the project, and leave it in the environment that it is built in. Raises RunEndedError."""
    try:
        found = wheels.find_section(wheels.uv, place.source, PROJECT)
    except StepFailedError as error:
        raise ended(Ending.INSTALL_FAILED, error) from error
    wheels.sections[PROJECT] = found


def freeze(place: Place, wheels: Wheels) -> tuple[Lock, list[Entry]] | None:
    """Lock what the recipe's own steps installed; None where a part of it is nowhere to be had again."""
    found = others(place)
    for each in found:
        if each.address and not each.commit:
            line = f"{each.name} @ {each.address}"[:400]
            place.log.say(f"no lock: {line} has neither a version nor a commit\n")
            return None
    wanted = [Entry(each.name, each.exact) for each in found]
    try:
        entries = wheels.uv.compile("requirements", [entry.label for entry in wanted])
        if {entry.label for entry in entries} != {entry.label for entry in wanted}:
            # The steps need not install what a distribution says it needs.
            entries = wheels.uv.compile("requirements", [entry.label for entry in wanted], ["--no-deps"])
        wheels.fetch(entries)  # uv has had its own copies
        wheels.find_sections(entries)
    except (StepFailedError, LockError, RunEndedError) as error:
        place.log.say(f"no lock: {error}\n")
        return None
    _find_project_section_if_any(place, wheels)
    return lock_of(entries, wheels.sections), entries


def _find_project_section_if_any(place: Place, wheels: Wheels) -> None:
    """The steps may have built the project, or not: there is a lock either way."""
    if not is_buildable(place):
        return
    try:
        find_project_section(place, wheels)
    except RunEndedError as error:
        place.log.say(f"the lock does not say what builds the project: {error}\n")


def blame(place: Place, error: StepFailedError, *, otherwise: Ending) -> Ending:
    """Say whether a failed step is the project's fault (`install-failed`) or a dependency's."""
    explanation = error.explanation
    if explanation.trouble is Trouble.RESOLVE:
        return Ending.ENVIRONMENT_FAILED
    if explanation.package:
        own = str(place.source) in explanation.package
        return Ending.INSTALL_FAILED if own else Ending.ENVIRONMENT_FAILED
    if explanation.trouble is Trouble.OTHER and str(place.source) in error.output:
        return Ending.INSTALL_FAILED
    return otherwise
