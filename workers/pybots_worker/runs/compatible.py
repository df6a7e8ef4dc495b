"""Asks an interpreter once which wheels it can install, and decides which file of a distribution it gets."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import packaging
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from pybots_worker.contract import Ending
from pybots_worker.runs.locked import Entry, File
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.steps import ask

_QUESTION = """
import json, sys
sys.path.append(sys.argv[1])
from packaging import markers, tags
print(json.dumps({"tags": [str(tag) for tag in tags.sys_tags()], "markers": markers.default_environment()}))
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What wheels and requirements are chosen for: tags, the best first, and the values of markers."""

    tags: tuple[str, ...]
    markers: Mapping[str, str]

    def choose(self, entry: Entry) -> File | None:
        """Return the best wheel, else the sdist; None where neither is among the files."""
        best = {tag: place for place, tag in enumerate(self.tags)}
        ranked = []
        for file in entry.files:
            if file.is_wheel:
                _, _, build, tags = parse_wheel_filename(file.name)
                places = [best[str(tag)] for tag in tags if str(tag) in best]
                if places:
                    ranked.append((min(places), [-part for part in build[:1]], file.name, file))
        if ranked:
            return min(ranked, key=lambda each: each[:-1])[-1]  # a lock may name two files alike
        return next((file for file in entry.files if not file.is_wheel), None)

    def unmet(self, requirements: Iterable[str], versions: Mapping[str, str]) -> list[str]:
        """List the requirements that these versions (by canonical name) do not meet; extras are not looked at."""
        return [text for text in requirements if not self._met(text, versions)]

    def _met(self, text: str, versions: Mapping[str, str]) -> bool:
        try:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({**self.markers, "extra": ""}):
                return True
            version = versions.get(canonicalize_name(requirement.name))
            if version is None:
                return False
            return bool(requirement.url) or requirement.specifier.contains(version, prereleases=True)
        except (InvalidRequirement, InvalidSpecifier, InvalidVersion):
            return False


def ask_target(python: Path, environment: Mapping[str, str], folder: Path) -> Target:
    """Ask the interpreter, or find in its folder what it answered earlier. Raises RunEndedError(`worker-unfit`)."""
    kept = folder / f"tags-{packaging.__version__}.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        return _target(kept.read_text())
    library = str(Path(packaging.__file__).parent.parent)
    try:
        answer = ask([str(python), "-I", "-c", _QUESTION, library], environment)
        found = _target(answer)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise RunEndedError(
            Ending.UNFIT, f"the interpreter does not say what it can install: {error}"
        ) from error
    part = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    part.write_text(answer)
    os.replace(part, kept)
    return found


def _target(answer: str) -> Target:
    facts = json.loads(answer)
    return Target(tuple(facts["tags"]), facts["markers"])
