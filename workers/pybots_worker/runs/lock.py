"""Freezes an environment: resolves what is to be installed into files with exact versions and hashes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pybots_worker.contract import Ending, Lock, lock_digest
from pybots_worker.runs.environment import frozen, incomplete, pins
from pybots_worker.runs.explain import Trouble
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.placeholders import fill_text
from pybots_worker.runs.steps import StepFailedError, ended, run_step

_DEFAULT_BUILD_REQUIREMENTS = ["setuptools>=40.8.0"]
"""PEP 517's for a project that names none."""


def make_lock(requirements: str, build_constraints: str) -> Lock:
    """Put the two files and their digest together."""
    return Lock(
        requirements=requirements,
        build_constraints=build_constraints,
        digest=lock_digest(requirements, build_constraints),
    )


def resolve(place: Place, environment: dict[str, str]) -> Lock:
    """Choose versions for the recipe's requirements, the project's own, and the project's build.

    Raises RunEndedError: `environment-failed` where there is no solution or a dependency does not build,
    `install-failed` where the project cannot say what it needs.
    """
    specification = place.specification
    source = place.source
    if not any((source / name).is_file() for name in ("pyproject.toml", "setup.py")):
        detail = (
            "the source has neither pyproject.toml nor setup.py; a recipe with its own steps can do without"
        )
        raise RunEndedError(Ending.INSTALL_FAILED, detail)
    extras = f"[{','.join(specification.extras)}]" if specification.extras else ""
    lines = [fill_text(line, place.values()) for line in specification.requirements]
    groups = [f"--group={source / 'pyproject.toml'}:{group}" for group in specification.groups]
    try:
        found = _compile(place, environment, "requirements", [*lines, f"{source}{extras}"], groups)
        return make_lock(_without(found, source), build_constraints(place, environment))
    except StepFailedError as error:
        raise ended(blame(place, error, otherwise=Ending.ENVIRONMENT_FAILED), error) from error


def freeze(place: Place, environment: dict[str, str]) -> Lock | None:
    """Lock what the recipe's own steps installed; None where a part of it is nowhere to be had again."""
    listed = frozen(place, environment)
    left_out = incomplete(listed, place.source)
    if left_out:
        place.log.write(f"no lock: {left_out[0][:400]} has neither a version nor a commit\n".encode())
        return None
    exact = pins(listed)
    lines = [_requirement(name, what) for name, what in sorted(exact.items())]
    try:
        found = _compile(place, environment, "requirements", lines, ["--no-deps"])
        constraints = build_constraints(place, environment)
    except StepFailedError:
        return None
    if not is_hashed(found):
        found = _hashed(place, environment, lines, exact) or found
    return make_lock(found, constraints)


def is_hashed(requirements: str) -> bool:
    """Whether each requirement has a hash; a commit in a git repository is exact, and has none."""
    text = requirements.replace("\\\n", "")
    return all("--hash=" in line for line in text.splitlines() if line and not line.startswith("#"))


def _hashed(place: Place, environment: dict[str, str], lines: list[str], exact: dict[str, str]) -> str:
    """Resolve once more, with dependencies: without them uv does not read files in folders, nor hash them."""
    try:
        found = _compile(place, environment, "requirements", lines, [])
    except StepFailedError:
        return ""
    return found if pins(found) == exact else ""


def _requirement(name: str, exact: str) -> str:
    return f"{name} @ {exact}" if exact.startswith("git+") else f"{name}=={exact}"


def build_constraints(place: Place, environment: dict[str, str]) -> str:
    """Choose versions for what the project's build asks for; empty where it asks for nothing.

    What a backend asks for besides, when it runs, is not among them.
    """
    if not place.specification.build_isolation:
        return ""  # then it builds with what is installed, and that is in the lock
    requirements = _build_requirements(place.source / "pyproject.toml")
    return _compile(place, environment, "build", requirements, []) if requirements else ""


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


def _compile(
    place: Place, environment: dict[str, str], name: str, lines: list[str], options: list[str]
) -> str:
    if not lines and not options:
        return ""
    asked, answer = place.work / f"{name}.in", place.work / f"{name}.txt"
    asked.write_text("".join(f"{line}\n" for line in lines))
    answer.unlink(missing_ok=True)  # uv would prefer the versions in it
    command = [str(uv()), "pip", "compile", asked.name, *options, "--quiet", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += ["--python", str(place.python), "--output-file", str(answer)]
    run_step(place, f"resolving the {name}", command, environment)
    return answer.read_text()


def _without(requirements: str, source: Path) -> str:
    """Leave the project itself out: it is built from its source, after what it needs."""
    kept, keep = [], True
    for line in requirements.splitlines():
        if not line.startswith(" "):
            keep = str(source) not in line
        if keep:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def _build_requirements(pyproject: Path) -> list[str]:
    if not pyproject.is_file():
        return _DEFAULT_BUILD_REQUIREMENTS
    try:
        system = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("build-system", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []  # the build will say what is wrong with it
    if not isinstance(system, dict):
        return []
    return [str(line) for line in system.get("requires", _DEFAULT_BUILD_REQUIREMENTS)]
