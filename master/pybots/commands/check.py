"""`pybots check`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

import click

from pybots.commands.check_buildbot import buildbot_problems
from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.config.problems import ConfigurationError, Problem
from pybots.config.read import read_farm
from pybots.registry.read import read_registry
from pybots.registry.registry import Registry, check_against


@dataclass(slots=True)
class Checked:
    """What was looked at, and everything that is wrong."""

    problems: list[Problem] = field(default_factory=list)
    recipes: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    buildbot: bool = False
    """Whether Buildbot's configuration was loaded."""

    def as_object(self) -> dict[str, object]:
        """Return the JSON object of `--json`."""
        return {"ok": not self.problems, **asdict(self)}


@click.command()
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="[DIR]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(folder: Path, *, as_json: bool) -> None:
    """Say everything that is wrong with the farm in DIR (default: the current folder).

    Reads farm.toml and what it points at, every recipe, and loads Buildbot's configuration as a master would. It
    changes nothing, and may run beside a running master. Exit status 0 when nothing is wrong, 1 when anything is:
    also a recipe that would be set aside while the rest runs.
    """
    checked = check_farm(folder)
    if as_json:
        click.echo(json.dumps(checked.as_object(), indent=1))
    else:
        _print(checked)
    sys.exit(1 if checked.problems else 0)


def check_farm(folder: Path) -> Checked:
    """Return what is wrong with the farm in *folder*."""
    checked = Checked()
    configuration: FarmConfiguration | None = None
    recipes = "projects"
    try:
        configuration = read_farm(folder)
        recipes = configuration.registry.folder
    except ConfigurationError as error:
        checked.problems += error.problems
    if configuration or (folder / recipes).is_dir():
        _check_recipes(read_registry(FarmFolder(folder).relative(recipes)), configuration, checked)
    if configuration:
        _check_buildbot(folder, checked)
    return checked


def _check_recipes(registry: Registry, configuration: FarmConfiguration | None, checked: Checked) -> None:
    checked.recipes = sorted(registry.recipes)
    checked.set_aside = [aside.name for aside in registry.set_aside]
    if registry.problem:
        checked.problems.append(Problem("farm.toml", None, "registry.folder", registry.problem))
    for aside in registry.set_aside:
        checked.problems += aside.problems
    if configuration is not None:
        for name in checked.recipes:
            checked.problems += check_against(registry.recipes[name], configuration)


def _check_buildbot(folder: Path, checked: Checked) -> None:
    if find_spec("buildbot") is None:
        what, hint = (
            "Buildbot is not installed, so its configuration was not loaded",
            "install pybots[master]",
        )
        checked.problems.append(Problem("farm.toml", None, "", what, hint))
        return
    checked.buildbot = True
    checked.problems += [Problem("farm.toml", None, "", problem) for problem in buildbot_problems(folder)]


def _print(checked: Checked) -> None:
    for problem in checked.problems:
        click.echo(str(problem))
    recipes = f"{len(checked.recipes)} recipes are good"
    if checked.set_aside:
        recipes += f", {len(checked.set_aside)} set aside ({', '.join(checked.set_aside)})"
    count = len(checked.problems)
    click.echo(
        f"{count} problem{'s' if count != 1 else ''}; {recipes}" if count else f"no problem; {recipes}"
    )
