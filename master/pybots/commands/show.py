"""`pybots show`: what the status page says, in a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter
from rich.console import Console, RenderableType
from sqlalchemy.orm import Session

from pybots.commands import show_tables
from pybots.config import last_good
from pybots.config.folder import FarmFolder
from pybots.config.model import StoreSection
from pybots.config.problems import ConfigurationError
from pybots.database.engine import Sessions
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.store_verify import StoreSize, measure
from pybots.site import api, read_farm, read_interpreters, read_runs
from pybots.site.open import NotStartedError, UnreadableError, reading
from pybots.site.read_folder import Served, read_folder

HELP = """
Shows what the farm in DIR knows: the facts of the status page, read from the same database.

\b
  pybots show farm                      how things stand
  pybots show farm projects             the newest run of every project on every track
  pybots show farm runs                 the newest runs
  pybots show farm run KEY              one run with its failing tests
  pybots show farm interpreter KEY      one interpreter with its proof
  pybots show farm commits              the newest commits and what was built of them
  pybots show farm queue                what is wanted or under way
  pybots show farm workers              the donated workers
  pybots show farm store                how much the stored interpreters take

DIR may be left out in the farm's own folder. The exit status is 1 where what you ask for does not exist.
"""

Look = Callable[[Session, str], Any]
Draw = Callable[[Any, datetime], RenderableType]

LISTS: dict[str, tuple[Look, Draw]] = {
    "projects": (lambda session, _: api.project_standings(read_farm.overview(session)), show_tables.projects),
    "runs": (lambda session, _: read_runs.list_runs(session, limit=50), show_tables.runs),
    "commits": (lambda session, _: read_interpreters.newest_commits(session, 30), show_tables.commits),
    "queue": (lambda session, _: read_farm.queue(session), show_tables.queue),
    "workers": (lambda session, _: read_farm.workers(session), show_tables.workers),
}
ONES: dict[str, tuple[Look, Draw]] = {
    "run": (read_runs.run_details, show_tables.run),
    "interpreter": (read_interpreters.interpreter_details, show_tables.interpreter),
}


SINGLE: dict[str, Draw] = {"status": show_tables.status, "store": show_tables.store}


@click.command("show", help=HELP, short_help="Show runs, interpreters, commits, workers.")
@click.argument("words", nargs=-1, metavar="[DIR] [WHAT [KEY]]")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON, as the API gives them.")
def show(words: tuple[str, ...], as_json: bool) -> None:
    """Show what the farm knows."""
    folder, what, key = understand(words)
    served = read_folder(folder.absolute())
    now = datetime.now(UTC)
    try:
        facts = store_size(folder) if what == "store" else _look(served, what, key, now)
    except (NotStartedError, UnreadableError) as error:
        click.echo(f"pybots show: {error}", err=True)
        raise SystemExit(1) from None
    if facts is None:
        click.echo(f"pybots show: there is no {what} {key}", err=True)
        raise SystemExit(1)
    if as_json:
        click.echo(
            TypeAdapter(type(facts) if not isinstance(facts, list) else list[Any]).dump_json(facts, indent=2)
        )
    else:
        draw = SINGLE[what] if what in SINGLE else (LISTS | ONES)[what][1]
        # A pipe has no width of its own; folded at 80, lines could not be searched.
        console = Console(highlight=False)
        console.width = console.width if console.is_terminal else max(console.width, 220)
        console.print(draw(facts, now))


def store_size(folder: Path) -> StoreSize:
    """Count what is in the store of the farm in *folder*."""
    farm = FarmFolder(folder.absolute())
    try:
        section = last_good.load(farm.root).configuration.store
    except ConfigurationError:
        section = StoreSection()
    return measure(ArtifactStore(farm.store), int(section.size_limit_gigabytes * 1e9))


def understand(words: Sequence[str]) -> tuple[Path, str, str]:
    """Return folder, what is asked for, and the key (or an empty text); raises click.UsageError."""
    rest = list(words)
    folder = Path()
    if rest and rest[0] not in {"status", "store", *LISTS, *ONES}:
        folder = Path(rest.pop(0))
        if not folder.is_dir():
            known = ", ".join(["status", "store", *LISTS, *ONES])
            msg = f"{str(folder)!r} is neither a folder nor one of {known}"
            raise click.UsageError(msg)
    what, *keys = rest or ["status"]
    if what not in {"status", "store", *LISTS, *ONES}:
        msg = f"{what!r} is not one of {', '.join(['status', 'store', *LISTS, *ONES])}"
        raise click.UsageError(msg)
    if len(keys) != (1 if what in ONES else 0):
        msg = f"{what} takes a key" if what in ONES else f"{what} takes nothing more"
        raise click.UsageError(msg)
    return folder, what, "".join(keys)


def _look(served: Served, what: str, key: str, now: datetime) -> Any:
    sessions: Sessions = served.sessions()
    try:
        if what == "status":
            return api.status(sessions, lambda: now, served.name)
        look = (LISTS | ONES)[what][0]
        return reading(sessions, lambda session: look(session, key))
    finally:
        sessions.engine.dispose()
