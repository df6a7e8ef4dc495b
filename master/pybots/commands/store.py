"""`pybots store`: reads the store of interpreters again."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from pybots.config.folder import FarmFolder
from pybots.database.engine import Sessions
from pybots.interpreters import store_roots
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.store_verify import Verified, verify
from pybots.site.open import NotStartedError, UnreadableError, reading
from pybots.site.read_folder import read_folder


@click.group()
def store() -> None:
    """Look after a farm's store of interpreters."""


@store.command("verify")
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="[DIR]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_store(folder: Path, *, as_json: bool) -> None:
    """Recompute every digest of the store of the farm in DIR (default: the current folder).

    Names each manifest and each file that is damaged or missing, with the interpreters that cannot be used for it.
    Nothing is changed, and the master may run meanwhile. Exit status 1 where something is wrong.

    \b
      pybots store verify farm
      pybots store verify farm --json

    To mend it, copy the store of a backup over it, or remove what is named: the next build of a commit brings back
    what its interpreter needs.
    """
    farm = FarmFolder(folder.absolute())
    console = Console(stderr=True)
    with Progress(console=console, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("files read", total=None)
        found = verify(
            ArtifactStore(farm.store),
            _believed(folder.absolute()),
            lambda done: progress.update(task, completed=done),
        )
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    else:
        click.echo("\n".join(lines(found)))
    sys.exit(1 if found.damage else 0)


def lines(found: Verified) -> list[str]:
    """Return what is printed."""
    said = [
        f"{one.kind} {one.digest}: {one.problem}"
        + (f"; needed by {', '.join(digest[:12] for digest in one.artifacts[:5])}" if one.artifacts else "")
        for one in found.damage
    ]
    wrong = f"{len(found.damage)} are damaged or missing" if found.damage else "all as they should be"
    return [
        *said,
        f"{found.artifacts} artifacts of {found.files} files, {found.stored_bytes / 1e6:.1f} MB: {wrong}",
    ]


def _believed(folder: Path) -> list[str]:
    """Return what the results database says is in the store; nothing where there is none that can be read."""
    sessions: Sessions = read_folder(folder).sessions()
    try:
        return list(reading(sessions, store_roots.in_store))
    except (NotStartedError, UnreadableError):
        return []
    finally:
        sessions.engine.dispose()
