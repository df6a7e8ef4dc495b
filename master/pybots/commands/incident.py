"""`pybots incident`: list, show, acknowledge, mute, invalid and link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from pydantic_core import to_json
from rich.console import Console
from sqlalchemy.orm import Session

from pybots.commands import incident_ask, incident_tables
from pybots.incidents import read_incidents
from pybots.incidents.asked import Asked
from pybots.site.open import NotStartedError, UnreadableError, reading
from pybots.site.read_folder import read_folder

T = TypeVar("T")

FOLDER = click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path(), show_default="the current one",
    help="The farm's folder.",
)  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
NUMBER = click.argument("number", type=click.IntRange(min=1), metavar="ID")
WHO = click.option("--who", default="", help="Who says so; by default your name on this machine.")
WAIT = click.option(
    "--wait", type=click.FloatRange(min=0, max=600), default=10.0, show_default=True, metavar="SECONDS",
    help="How long to wait for the master to apply it.",
)  # fmt: skip


@click.group()
def incident() -> None:
    """List incidents, and say what people know of them.

    An incident is one regression, from suspicion to fix, however many tests, tracks and projects show it. It is
    suspected once the failure was seen again, confirmed once something that was put back made it go away, attributed
    once it is settled whose it is, and fixed once every item passes again on every track that showed it.

    \b
      pybots incident list --dir FARM              what is open
      pybots incident show 7 --dir FARM            one of them, with the evidence of every step
      pybots incident acknowledge 7 --dir FARM     I look after it
      pybots incident mute 7 --until 2026-12-24 --reason "fixed in the next release"
      pybots incident invalid 7 --reason "the disk of that machine was broken"
      pybots incident link 7 https://example.org/issues/12

    Exit status: 0, or 1 where there is no such incident or the master refused, or 2 for bad use.
    """


@incident.command("list")
@click.argument("place", type=click.Path(path_type=Path), required=False, metavar="[DIR]")
@FOLDER
@click.option("--all", "everything", is_flag=True, help="Fixed and invalid ones too.")
@JSON
def list_incidents(place: Path | None, folder: Path, *, everything: bool, as_json: bool) -> None:
    """List the open incidents, the newest last. Exit status 0 also where there are none."""
    found = _read(
        place or folder, lambda session: read_incidents.incidents(session, only_open=not everything)
    )
    if as_json:
        _print_json([asdict(one) for one in found])
    elif found:
        _print(incident_tables.incidents(found, datetime.now(UTC)))
    else:
        click.echo("no incidents" if everything else "no open incidents")


@incident.command("show")
@NUMBER
@FOLDER
@JSON
def show(number: int, folder: Path, *, as_json: bool) -> None:
    """Show one incident: what it is, what shows it, and every step with its evidence."""
    found = _read(folder, lambda session: read_incidents.incident(session, number))
    if found is None:
        _no(f"there is no incident {number}")
    elif as_json:
        _print_json(asdict(found))
    else:
        _print(incident_tables.incident(found, datetime.now(UTC)))


@incident.command("acknowledge")
@NUMBER
@FOLDER
@WHO
@click.option("--reason", default="", help="What you know of it, or do about it.")
@WAIT
@JSON
def acknowledge(number: int, folder: Path, who: str, reason: str, wait: float, *, as_json: bool) -> None:
    """Say that you look after an incident."""
    _ask(folder, number, Asked.ACKNOWLEDGE, who, reason, "", wait, as_json=as_json)


@incident.command("mute")
@NUMBER
@FOLDER
@click.option("--until", required=True, help="A date: 2026-12-24, or 2026-12-24T18:00+01:00; at most a year.")
@WHO
@click.option("--reason", required=True, help="Why; it stays on record.")
@WAIT
@JSON
def mute(number: int, folder: Path, until: str, who: str, reason: str, wait: float, *, as_json: bool) -> None:
    """Have nobody hear of an incident until a date. It goes on, and is closed when it is fixed."""
    _ask(folder, number, Asked.MUTE, who, reason, until, wait, as_json=as_json)


@incident.command("invalid")
@NUMBER
@FOLDER
@WHO
@click.option("--reason", required=True, help="Why it is no regression; it stays on record.")
@WAIT
@JSON
def invalid(number: int, folder: Path, who: str, reason: str, wait: float, *, as_json: bool) -> None:
    """Mark an incident as none. What shows the same fault between the same commits joins it quietly."""
    _ask(folder, number, Asked.INVALID, who, reason, "", wait, as_json=as_json)


@incident.command("link")
@NUMBER
@click.argument("address", metavar="ADDRESS")
@FOLDER
@WHO
@click.option("--reason", default="", help="What it says there.")
@WAIT
@JSON
def link(
    number: int, address: str, folder: Path, who: str, reason: str, wait: float, *, as_json: bool
) -> None:
    """Link the issue elsewhere that is about an incident."""
    _ask(folder, number, Asked.LINK, who, reason, address, wait, as_json=as_json)


def _ask(
    folder: Path, number: int, kind: Asked, who: str, reason: str, value: str, wait: float, *, as_json: bool
) -> None:
    try:
        said = incident_ask.ask(_folder(folder), number, kind, who, reason, value, wait)
    except (NotStartedError, UnreadableError) as error:
        _no(str(error))
    if as_json:
        _print_json(asdict(said))
    else:
        click.echo(said.answer, err=not said.ok)
    raise SystemExit(0 if said.ok else 2 if said.bad_use else 1)


def _read(folder: Path, read: Callable[[Session], T]) -> T:
    sessions = read_folder(_folder(folder)).sessions()
    try:
        return reading(sessions, read)
    except (NotStartedError, UnreadableError) as error:
        _no(str(error))
    finally:
        sessions.engine.dispose()


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder"
        raise click.UsageError(msg)
    return folder.absolute()


def _no(why: str) -> NoReturn:
    click.echo(f"pybots incident: {why}", err=True)
    raise SystemExit(1)


def _print_json(facts: Any) -> None:
    click.echo(to_json(facts, indent=2))


def _print(drawn: Any) -> None:
    # A pipe has no width of its own; folded at 80, lines could not be searched.
    console = Console(highlight=False)
    console.width = console.width if console.is_terminal else max(console.width, 220)
    console.print(drawn)
