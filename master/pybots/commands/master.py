"""`pybots start`, `stop` and `reconfig`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from pybots.commands.master_process import (
    MasterError,
    master_command,
    prepare_master,
    reconfigure_master,
    start_master,
    stop_master,
)
from pybots.config.folder import FarmFolder
from pybots.config.read import ConfigurationError

FOLDER = click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="[DIR]"
)


def _fail(error: Exception) -> None:
    text = (
        "\n".join(str(problem) for problem in error.problems)
        if isinstance(error, ConfigurationError)
        else str(error)
    )
    click.echo(text, err=True)
    sys.exit(1)


@click.command()
@FOLDER
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait until it answers.")
@click.option("--foreground", is_flag=True, help="Run here until interrupted: for systemd and containers.")
def start(folder: Path, timeout: float, *, foreground: bool) -> None:
    """Start the master of the farm in DIR (default: the current folder).

    Returns once it answers, with exit status 0; a broken farm.toml does not stop it where an earlier one
    loaded, and is said here, on the page and by `pybots check`. Logs are in DIR/master/twistd.log.
    """
    try:
        if foreground:
            place = FarmFolder(folder.resolve())
            prepare_master(place)
            os.chdir(place.master)
            command = master_command(place)
            os.execv(command[0], command)  # noqa: S606  (the master takes this process over)
        number = start_master(folder, timeout)
    except (MasterError, ConfigurationError) as error:
        _fail(error)
        return
    answer = json.loads(FarmFolder(folder.resolve()).reconfigured.read_text())
    for problem in answer["problems"]:
        click.echo(f"warning: {problem}", err=True)
    if answer["from_last_good"]:
        click.echo("warning: the master goes on with the last configuration that loaded", err=True)
    click.echo(f"the master runs (process {number})")


@click.command()
@FOLDER
@click.option("--timeout", default=60.0, show_default=True, help="Seconds before it is stopped by force.")
def stop(folder: Path, timeout: float) -> None:
    """Stop the master of the farm in DIR. What was under way is done again at the next start."""
    if not stop_master(folder, timeout):
        click.echo(f"no master runs in {folder}", err=True)
        sys.exit(1)
    click.echo("the master has stopped")


@click.command()
@FOLDER
def reconfig(folder: Path) -> None:
    """Have the running master read farm.toml again. New recipes need no reconfig: they are read for every commit.

    Exit status 1 when farm.toml is broken: the master then goes on with the last good one.
    """
    try:
        answer = reconfigure_master(folder)
    except (MasterError, ConfigurationError) as error:
        _fail(error)
        return
    for problem in answer.problems:
        click.echo(problem, err=True)
    if answer.problems:
        click.echo("the master goes on with the last good configuration", err=True)
        sys.exit(1)
    click.echo("the master has taken the configuration over")
