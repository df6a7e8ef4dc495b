"""Reads a replay's FILE with its recipes, and says everything that is wrong with it before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from pybots.commands.replay.file import ReplayEvent, ReplayFile
from pybots.config.files import read_toml
from pybots.config.problems import ConfigurationError, Problem, at, nearest
from pybots.config.toml_lines import KeyPath
from pybots.interpreters.plan import tracks
from pybots.registry.read import read_recipe
from pybots.registry.registry import Registered
from pybots.runs.schedule import runs_on

LARGEST = 4_000_000

Finding = tuple[KeyPath, str, str]
"""The key to blame, what is wrong with it, and what to do."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A FILE that was read. `name` is what problems call it, `folder` where its relative paths start."""

    content: ReplayFile
    name: str
    folder: Path
    lines: Mapping[KeyPath, int]
    recipes: Mapping[str, Registered]
    """By the projects' names, in the order of the file."""

    def path(self, text: str) -> Path:
        """Return a path from the file."""
        return (self.folder / text).resolve()

    def problem(self, path: KeyPath, what: str, hint: str = "") -> Problem:
        """Return a problem of the key at *path*."""
        return at(self.name, self.lines, path, what, hint)


def read_replay(file: Path, platform: str) -> Replay:
    """Return what *file* says; raises ConfigurationError with every problem of it and of its recipes."""
    name = str(file)
    read = read_toml(file, ReplayFile, name=name, largest=LARGEST)
    folder = file.absolute().parent
    recipes, problems = _recipes(read.content, folder, name, read.lines)
    replay = Replay(read.content, name, folder, read.lines, recipes)
    if not problems:  # an event may name a project whose recipe could not be read
        found = [*_idle(replay, platform), *_events(replay)]
        problems = [replay.problem(*finding) for finding in found]
    if problems:
        raise ConfigurationError(problems)
    return replay


def _recipes(
    content: ReplayFile, folder: Path, name: str, lines: Mapping[KeyPath, int]
) -> tuple[dict[str, Registered], list[Problem]]:
    recipes: dict[str, Registered] = {}
    problems: list[Problem] = []
    for index, project in enumerate(content.project):
        path: KeyPath = ("project", index, "recipe")
        file = (folder / project.recipe).resolve()
        if not file.is_file():
            hint = "give the path of a recipe, relative to this file"
            problems.append(at(name, lines, path, f"{file} is not a file", hint))
            continue
        try:
            registered = read_recipe(file)
        except ConfigurationError as error:
            problems += error.problems
            continue
        taken = registered.recipe.project.name
        if taken in recipes:
            problems.append(at(name, lines, path, f"{taken!r} is here twice", "leave one out"))
        recipes[taken] = registered
    return recipes, problems


def _idle(replay: Replay, platform: str) -> Iterator[Finding]:
    """Recipes that would never run: they name none of the tracks."""
    trunk = replay.content.trunk
    there = tracks([trunk.branch], list(trunk.variants), [platform])
    for index, registered in enumerate(replay.recipes.values()):
        if not any(runs_on(registered.recipe, track) for track in there):
            what = f"{registered.recipe.project.name} runs on none of {', '.join(map(str, there))}"
            yield ("project", index), what, "add a variant here, or correct [tracks] in its recipe"


def _events(replay: Replay) -> Iterator[Finding]:
    taken: set[tuple[object, ...]] = set()
    for index, event in enumerate(replay.content.event):
        path: KeyPath = ("event", index)
        yield from _place(replay, event, path)
        if event.revision is not None and event.project in replay.recipes:
            yield from _revision(replay, event, (*path, "revision"))
        if event.packages is not None and not replay.path(event.packages).is_dir():
            where = replay.path(event.packages)
            yield (*path, "packages"), f"{where} is not a folder", "give one relative to this file"
        what = _what(event)
        if what in taken:
            yield path, f"head {event.at_head} has another event like this one", "leave one of them out"
        taken.add(what)


def _what(event: ReplayEvent) -> tuple[object, ...]:
    """Return what there can be only one of."""
    if event.revision is not None:
        return event.at_head, event.project
    return event.at_head, "packages" if event.packages is not None else "fault", ""


def _place(replay: Replay, event: ReplayEvent, path: KeyPath) -> Iterator[Finding]:
    last = len(replay.content.trunk.heads) - 1
    if event.at_head > last:
        what = f"there is no head {event.at_head}: the heads are 0 to {last}"
        yield (*path, "at_head"), what, "heads are counted from 0"
    if event.project and event.project not in replay.recipes:
        known = list(replay.recipes)
        near = nearest(event.project, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}"
        yield (*path, "project"), f"no project here is called {event.project!r}", hint


def _revision(replay: Replay, event: ReplayEvent, path: KeyPath) -> Iterator[Finding]:
    source, revision = replay.recipes[event.project].recipe.source, event.revision or ""
    if source.path and not replay.path(revision).is_dir():
        what = f"{replay.path(revision)} is not a folder"
        yield path, what, f"{event.project}'s recipe has `path`: give a folder relative to this file"
    if source.pypi:
        try:
            Version(revision)
        except InvalidVersion:
            what = f"{revision[:60]!r} is not a version"
            yield path, what, f"{event.project}'s recipe has `pypi`: write it like 2.1.0"
    if source.git and revision.startswith("-"):
        yield path, "a ref begins with a hyphen", "correct it"
