"""Reads recipes from a folder; what is wrong with one of them stops none of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pybots.config.files import read_toml
from pybots.config.problems import ConfigurationError, Problem, at
from pybots.registry.check import Finding, findings
from pybots.registry.recipe import Recipe
from pybots.registry.registry import Registered, Registry, SetAside, misnamed, settle

LARGEST = 256_000
MOST = 5_000
"""More recipes than this are a mistake: somebody named the wrong folder."""


def read_registry(folder: Path) -> Registry:
    """Return the recipes of *folder*: its NAME.toml, but for names that begin with a dot. Never raises."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.name[0] != ".")
    except OSError as error:
        return Registry({}, problem=f"{folder}: {error.strerror}: no recipe can be read")
    if len(files) > MOST:
        return Registry({}, problem=f"{folder}: {len(files)} recipes; more than {MOST} are refused")
    return settle([_read(file, f"{folder.name}/{file.name}") for file in files])


def read_recipe(file: Path, shown_as: str = "") -> Registered:
    """Return the recipe in *file*; raises ConfigurationError with every problem that it has by itself."""
    registered = _registered(file, shown_as or str(file))
    problem = misnamed(registered)
    if problem:
        raise ConfigurationError([problem])
    return registered


def _read(file: Path, shown_as: str) -> Registered | SetAside:
    try:
        return _registered(file, shown_as)
    except ConfigurationError as error:
        return SetAside(file.stem, file, error.problems)
    except Exception as error:  # noqa: BLE001  (a recipe that trips us up must not take the others with it)
        what = f"it cannot be read: {type(error).__name__}: {error}"
        return SetAside(file.stem, file, (Problem(shown_as, None, "", what),))


def _registered(file: Path, shown_as: str) -> Registered:
    read = read_toml(file, Recipe, name=shown_as, largest=LARGEST)
    found = [*findings(read.content), *_local_source(read.content, file)]
    if found:
        raise ConfigurationError([at(shown_as, read.lines, *finding) for finding in found])
    return Registered(read.content, file, read.digest, read.lines, shown_as)


def _local_source(recipe: Recipe, file: Path) -> Iterator[Finding]:
    path = recipe.source.path
    if path and not (file.parent / path).is_dir():
        what = f"{file.parent / path} is not a folder"
        yield ("source", "path"), what, "give a path relative to the recipe's file"
