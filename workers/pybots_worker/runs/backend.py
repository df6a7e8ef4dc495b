"""Talks to a project's build backend (PEP 517), in the sandbox: what it needs, and the wheel that it builds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.explain import Explanation, Trouble, mentions_network
from pybots_worker.runs.locked import FILE_NAME
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.plain import read_plain
from pybots_worker.runs.steps import StepFailedError, run_step

_T = TypeVar("_T")
_ANSWER_BYTES = 1_000_000
_PYPROJECT_BYTES = 5_000_000
_LEGACY = "setuptools.build_meta:__legacy__"
_LONGEST_LINE = 1000
_LONGEST_TASK = 100_000
"""Of what a program is given as one argument: the kernel takes 131 071 bytes."""
_DEFAULT_REQUIREMENTS = ("setuptools>=40.8.0",)
"""PEP 517's for a project that names none."""


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """What a source says of its own build."""

    requires: tuple[str, ...] = _DEFAULT_REQUIREMENTS
    backend: str = _LEGACY
    backend_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backend:
    """A source that can be built: by `python`, whose environment has what the backend needs."""

    place: Place
    source: Path
    python: Path
    environment: Mapping[str, str]
    system: BuildSystem

    def requirements(self, what: str) -> list[str]:
        """Ask what it needs besides what its source says. Raises StepFailedError, RunEndedError."""
        answer = self._call("get_requires_for_build_wheel", what)
        if not isinstance(answer, list) or len(answer) > 1000:
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, "the backend's answer is no list"))
        wrong = next((line for line in answer if not _is_plain(line)), None)
        if wrong is not None:
            reason = f"the backend asks for {ascii(wrong)[:200]}, which is no requirement"
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, reason))
        return [line.strip() for line in answer]

    def build(self, what: str, target: Path) -> str:
        """Build a wheel into a folder of the place, and return its name. Raises StepFailedError, RunEndedError."""
        answer = self._call("build_wheel", what, str(target))
        if not isinstance(answer, str) or not FILE_NAME.fullmatch(answer) or not answer.endswith(".whl"):
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, "the backend names no wheel"))
        return answer

    def _call(self, hook: str, what: str, target: str = "") -> Any:
        answer = self.place.work / f"{hook}.json"
        task = {
            "hook": hook,
            "backend": self.system.backend,
            "backend_path": self.system.backend_path,
            "target": target,
            "answer": str(answer),
        }
        command = [str(self.python), str(self.place.under_test / "pybots_backend.py"), json.dumps(task)]

        def call(network: bool) -> str:
            remove_tree(answer)  # whatever a build left there
            return run_step(self.place, what, command, self.environment, cwd=self.source, network=network)

        offline_first(self.place, what, call)
        try:
            return json.loads(read_plain(answer.parent, answer.name, _ANSWER_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            reason = f"the backend left no answer: {error}"
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, reason)) from error


def offline_first(place: Place, what: str, call: Callable[[bool], _T]) -> _T:
    """Do something without the network, and with it only where it failed for want of one: Rust's crates come so."""
    specification = place.specification
    if specification.network:
        return call(True)
    try:
        return call(False)
    except StepFailedError as error:
        if specification.packages.offline or not mentions_network(error.output):
            raise
    except RunEndedError as error:
        if not mentions_network(error.detail):
            raise
        if specification.packages.offline:
            reason = f"it asks for the network: {error.detail}"
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, reason)) from error
    place.log.say(f"\n{what} asks for the network, and gets it\n")
    return call(True)


def read_build_system(source: Path) -> BuildSystem:
    """Read pyproject.toml, by PEP 518's rules. Raises RunEndedError(`install-failed`) where it is broken."""
    try:
        content = read_plain(source, "pyproject.toml", _PYPROJECT_BYTES)
    except FileNotFoundError:
        return BuildSystem()
    except OSError as error:
        raise RunEndedError(Ending.INSTALL_FAILED, f"pyproject.toml cannot be read: {error}") from error
    try:
        table = tomllib.loads(content.decode()).get("build-system")
        if table is None:
            return BuildSystem()
        found = BuildSystem(
            tuple(line.strip() for line in _texts(table["requires"])),
            str(table.get("build-backend", _LEGACY)),
            _texts(table.get("backend-path", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        detail = f"the [build-system] of pyproject.toml is broken: {error!r}"
        raise RunEndedError(Ending.INSTALL_FAILED, detail) from error
    wrong = next((line for line in found.requires if not _is_plain(line)), None)
    if wrong is not None or len(json.dumps([found.backend, found.backend_path])) > _LONGEST_TASK:
        said = f"{ascii(wrong)[:200]} is no requirement" if wrong is not None else "it is too long"
        raise RunEndedError(Ending.INSTALL_FAILED, f"the [build-system] of pyproject.toml is broken: {said}")
    return found


def _is_plain(line: object) -> bool:
    """Whether it is one line that can be written: more of a requirement the resolver finds out."""
    if not isinstance(line, str):
        return False
    bare = line.strip().replace("\t", " ")
    return 0 < len(bare) <= _LONGEST_LINE and bare.isprintable()


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        msg = f"{value!r} is no list"
        raise TypeError(msg)
    return tuple(map(str, value))
