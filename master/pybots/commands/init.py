"""`pybots init`."""

from __future__ import annotations

from pathlib import Path

import click

from pybots.commands.new_farm import CPYTHON, Choices, FolderTakenError, make_farm
from pybots.commands.platform_here import platform_here
from pybots.config.problems import ConfigurationError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--git", default=CPYTHON, show_default=True, help="CPython's repository: an address or a path.")
@click.option(
    "--branch", "branches", multiple=True, default=("main",), show_default=True, help="May be given again."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="How many machines."
)
@click.option(
    "--platform",
    "platform_name",
    default=platform_here,
    show_default="this machine's",
    help="Of the workers.",
)
@click.option("--with-projects", is_flag=True, help="Copy the recipes that come with Pybots.")
def init(
    folder: Path,
    git: str,
    branches: tuple[str, ...],
    workers: int,
    platform_name: str,
    *,
    with_projects: bool,
) -> None:
    """Make DIR the folder of a new farm.

    It gets farm.toml, with comments that say what to change; projects/ for recipes; and secrets/ with a random
    password for each worker, readable by you alone. A folder that is not empty is refused, and nothing is left
    half done.
    """
    choices = Choices(_absolute(git), branches, workers, platform_name, with_projects)
    try:
        make_farm(folder, choices)
    except (FolderTakenError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except ConfigurationError as error:
        raise click.UsageError("\n".join(map(str, error.problems))) from error
    recipes = len(list((folder / "projects").glob("*.toml")))
    click.echo(f"{folder} is a farm: {workers} workers, {recipes} recipes, branches {', '.join(branches)}")
    click.echo(f"next: read {folder / 'farm.toml'}; pybots check {folder}; pybots start {folder}")


def _absolute(git: str) -> str:
    """Return a path on this machine as seen from anywhere; an address as it is."""
    return str(Path(git).absolute()) if Path(git).exists() else git
