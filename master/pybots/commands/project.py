"""`pybots project`: check, list, schema and try."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pybots.commands.project_try import try_
from pybots.commands.table import print_table
from pybots.config.folder import FarmFolder
from pybots.config.problems import ConfigurationError
from pybots.config.read import read_farm
from pybots.registry.read import read_recipe, read_registry
from pybots.registry.recipe import SourceSection
from pybots.registry.registry import Registered, Registry
from pybots.verdicts.expected import expired

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def project() -> None:
    """Check, list and try recipes: the files that register projects.

    A recipe is one TOML file that says where a project's source is, how to install it and how to run its test
    suite. projects/README.md has a complete example. None of these commands needs a farm.
    """


@project.command("check")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_recipes(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Say what is wrong with recipes. Exit status 1 when anything is.

    An expected failure whose day has passed is said too; it is nothing wrong, and the recipe is used.
    """
    problems = {str(file): _problems(file) for file in files}
    notes = {str(file): _notes(file) for file in files}
    wrong = sum(map(bool, problems.values()))
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "files": problems, "notes": notes}, indent=1))
    else:
        for file, found in problems.items():
            click.echo("\n".join(problem["text"] for problem in found) or f"{file}: nothing is wrong")
            for note in notes[file]:
                click.echo(f"{file}: {note}")
    sys.exit(1 if wrong else 0)


def _notes(file: Path) -> list[str]:
    """What is right and should be looked at: expectations whose day has passed."""
    try:
        recipe = read_recipe(file).recipe
    except ConfigurationError:
        return []
    return [
        f"{each.test} was expected to fail until {each.expires}: {each.reason}"
        for each in expired(recipe.expected_failure, datetime.now(UTC).date())
    ]


def _problems(file: Path) -> list[dict[str, Any]]:
    try:
        read_recipe(file)
    except ConfigurationError as error:
        return [
            {
                "line": problem.line,
                "where": problem.where,
                "what": problem.what,
                "hint": problem.hint,
                "text": str(problem),
            }
            for problem in error.problems
        ]
    return []


@project.command("list")
@click.option(
    "--dir", "folder", type=FOLDER, default=Path(), show_default="the current one", help="A farm or recipes."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_projects(folder: Path, *, as_json: bool) -> None:
    """List the projects of a farm, or of a folder of recipes, and the recipes that are set aside with the reason.

    Exit status 1 when the recipes cannot be read at all.
    """
    registry = read_registry(_recipes_of(folder))
    if as_json:
        click.echo(json.dumps(_as_object(registry), indent=1))
    else:
        _print(registry)
    sys.exit(1 if registry.problem else 0)


def _recipes_of(folder: Path) -> Path:
    place = FarmFolder(folder)
    if not place.farm_toml.is_file():
        return folder
    try:
        return place.relative(read_farm(folder).registry.folder)
    except ConfigurationError as error:
        raise click.ClickException("\n".join(map(str, error.problems))) from error


def _as_object(registry: Registry) -> dict[str, Any]:
    return {
        "problem": registry.problem,
        "projects": [
            {"file": str(item.file), "digest": item.digest, **item.recipe.model_dump(mode="json")}
            for item in registry.recipes.values()
        ],
        "set_aside": [
            {
                "name": item.name,
                "file": str(item.file),
                "problems": [str(problem) for problem in item.problems],
            }
            for item in registry.set_aside
        ],
    }


def _print(registry: Registry) -> None:
    if registry.recipes:
        print_table(
            ["project", "source", "report", "tracks", "summary"],
            [_row(registered) for registered in registry.recipes.values()],
        )
    for aside in registry.set_aside:
        click.echo(f"\nset aside: {aside.name}\n{aside.reason}")
    if registry.problem:
        click.echo(registry.problem, err=True)
    elif not registry.recipes and not registry.set_aside:
        click.echo("no recipes; projects/README.md says how to write one")


def _row(registered: Registered) -> list[str]:
    recipe = registered.recipe
    tracks = [
        ",".join(names) or f"every {what}"
        for names, what in (
            (recipe.tracks.branches, "branch"),
            (recipe.tracks.variants, "variant"),
            (recipe.tracks.platforms, "platform"),
        )
    ]
    return [
        recipe.project.name,
        _source(recipe.source),
        recipe.test.report.value,
        " / ".join(tracks),
        recipe.project.summary,
    ]


def _source(source: SourceSection) -> str:
    if source.pypi:
        return f"pypi {source.pypi} {source.version}".rstrip()
    return f"git {source.git} {source.ref}" if source.git else f"folder {source.path}"


@project.command("schema")
def schema() -> None:
    """Print the JSON Schema of a recipe, for editors that complete and check TOML."""
    from pybots.registry.schema import recipe_schema  # noqa: PLC0415

    click.echo(json.dumps(recipe_schema(), indent=1))


project.add_command(try_)
