"""Decides which recipes are used and which are set aside, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pybots.config.model import FarmConfiguration
from pybots.config.problems import Problem, at, nearest
from pybots.config.toml_lines import KeyPath
from pybots.registry.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Registered:
    """A recipe without a problem of its own. `digest` is the sha256 of the file's bytes."""

    recipe: Recipe
    file: Path
    digest: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict, compare=False, repr=False)
    shown_as: str = field(default="", compare=False, repr=False)
    """What problems call the file."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A recipe that is not used. `name` is the file's, without `.toml`; `problems` is never empty."""

    name: str
    file: Path
    problems: tuple[Problem, ...]

    @property
    def reason(self) -> str:
        """All problems, one a line."""
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Registry:
    """The recipes of one folder, by the projects' names."""

    recipes: Mapping[str, Registered]
    set_aside: tuple[SetAside, ...] = ()
    problem: str = ""
    """Why the folder itself could not be read: then nothing is known of any project."""

    def problems(self) -> list[str]:
        """Return everything that is wrong, one line each."""
        own = [self.problem] if self.problem else []
        return own + [str(problem) for aside in self.set_aside for problem in aside.problems]


def settle(readings: Sequence[Registered | SetAside]) -> Registry:
    """Return the registry of what was read of each file.

    A recipe whose name is not its file's is set aside, and so are all of several recipes with one name: which
    of them is meant is not ours to guess.
    """
    claims: dict[str, list[Registered]] = defaultdict(list)
    for reading in readings:
        if isinstance(reading, Registered):
            claims[reading.recipe.project.name].append(reading)
    settled = [_settled(reading, claims) for reading in readings]
    return Registry(
        recipes={item.recipe.project.name: item for item in settled if isinstance(item, Registered)},
        set_aside=tuple(item for item in settled if isinstance(item, SetAside)),
    )


def _settled(
    reading: Registered | SetAside, claims: Mapping[str, Sequence[Registered]]
) -> Registered | SetAside:
    if isinstance(reading, SetAside):
        return reading
    rivals = [item.file.name for item in claims[reading.recipe.project.name]]
    problem = _shared_name(reading, rivals) if len(rivals) > 1 else misnamed(reading)
    return SetAside(reading.file.stem, reading.file, (problem,)) if problem else reading


def misnamed(registered: Registered) -> Problem | None:
    """Return the problem of a recipe whose file is not called after its project."""
    name = registered.recipe.project.name
    if registered.file.stem == name:
        return None
    what = f"the project is called {name!r}, the file {registered.file.name!r}"
    return _at(registered, ("project", "name"), what, f"call the file {name}.toml")


def _shared_name(registered: Registered, files: Sequence[str]) -> Problem:
    name = registered.recipe.project.name
    what = f"{len(files)} recipes are called {name!r} and all are set aside: {', '.join(sorted(files))}"
    return _at(registered, ("project", "name"), what, "keep one, or give each a name of its own")


def check_against(registered: Registered, farm: FarmConfiguration) -> list[Problem]:
    """Return which of the tracks that a recipe names *farm* lacks. Such a recipe still runs on the rest."""
    has = {
        "branches": farm.trunk.branches,
        "variants": list(farm.variants),
        "platforms": sorted({worker.platform for worker in farm.worker}),
    }
    problems = []
    for key, known in has.items():
        for index, name in enumerate(getattr(registered.recipe.tracks, key)):
            if name not in known:
                near = nearest(name, known)
                hint = f"did you mean {near!r}?" if near else f"it has {', '.join(known)}"
                what = f"this farm has no {name!r} among its {key}"
                problems.append(_at(registered, ("tracks", key, index), what, hint))
    return problems


def _at(registered: Registered, path: KeyPath, what: str, hint: str) -> Problem:
    return at(registered.shown_as or registered.file.name, registered.lines, path, what, hint)
