"""`pybots backup` and `pybots restore`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from pybots.commands.farm_backup import BackupError, Say, back_up
from pybots.commands.farm_backup import restore as restore_farm
from pybots.config.problems import ConfigurationError
from pybots.database.migrate import DatabaseError

FAILURES = (BackupError, DatabaseError, ConfigurationError, OSError)


@click.command()
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="[DIR]"
)
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The new file; it must not exist.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backup(folder: Path, target: Path, *, as_json: bool) -> None:
    """Write what the farm in DIR (default: the current folder) cannot make again to FILE.

    That is: both databases, farm.toml, the recipes, secrets/ and the last good configuration. The master may run
    meanwhile, and nobody waits. Of interpreters only the list is in it: copy the farm's store/ folder too, or have
    them built again. FILE holds the workers' passwords: keep it where only you can read it.

    \b
      pybots backup farm --to backups/$(date +%F).pybots
      pybots restore backups/2026-11-22.pybots farm-2 --store farm/store

    Of PostgreSQL databases `pg_dump` makes the copy; it must be installed. Exit status 1 where no backup was made.
    """
    try:
        made = back_up(folder, target, _say(as_json))
    except FAILURES as error:
        _fail(error)
    if as_json:
        click.echo(
            json.dumps({"file": str(target), "bytes": target.stat().st_size, **asdict(made)}, indent=1)
        )
    else:
        click.echo(
            f"{target}: {target.stat().st_size / 1e6:.1f} MB, of {made.at}; {len(made.artifacts)} artifacts"
        )
        click.echo(f"stay in {made.store}")


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--store",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="A copy of the store: without it, interpreters are built again when they are wanted.",
)
@click.option("--results", metavar="ADDRESS", help="Another, empty database for the results.")
@click.option("--buildbot", metavar="ADDRESS", help="Another, empty database for Buildbot's own tables.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(
    source: Path,
    folder: Path,
    store: Path | None,
    results: str | None,
    buildbot: str | None,
    *,
    as_json: bool,
) -> None:
    """Make DIR, a new folder, the farm that FILE is a backup of.

    Nothing is written over: DIR must be empty or not exist, and so must its databases; `--results` and `--buildbot`
    name others, and are written into DIR's farm.toml. What ran when the backup was made is run again.

    The farm that was backed up must not run beside this one: they have the same ports and the same workers.
    Exit status 1 where nothing was restored.
    """
    given = {"results": results, "buildbot": buildbot}
    addresses = {key: address for key, address in given.items() if address}
    try:
        made = restore_farm(source, folder, store, addresses, _say(as_json))
    except FAILURES as error:
        _fail(error)
    if as_json:
        click.echo(json.dumps(asdict(made), indent=1))
        return
    click.echo(
        f"{folder} is the farm as it was at {made.at}; {made.missing} of {made.artifacts} artifacts are missing"
    )
    click.echo(f"next: pybots check {folder}; pybots start {folder}")


def _say(quietly: bool) -> Say:
    return lambda text: None if quietly else click.echo(text, err=True)


def _fail(error: Exception) -> NoReturn:
    problems = error.problems if isinstance(error, ConfigurationError) else [error]
    click.echo("\n".join(map(str, problems)), err=True)
    sys.exit(1)
