"""`pybots demo`: a whole farm on this machine, with a real CPython and real projects."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from pybots.commands.demonstration.carry_out import Demonstration, Wishes
from pybots.commands.demonstration.children import ChildEndedError
from pybots.commands.demonstration.farm_folder import VARIANTS, FolderError
from pybots.commands.demonstration.local_repository import SourceError
from pybots.commands.demonstration.machine import MachineUnfitError
from pybots.commands.demonstration.progress import display
from pybots.commands.demonstration.running_farm import NotStartedError
from pybots.commands.interrupt import InterruptedBySignal, interrupt, on_signals, signals_put_back
from pybots_worker.sandbox.words import ALLOW

NOT_CARRIED_OUT = 1
BAD_USE = 2


@click.command()
@click.option(
    "--once", is_flag=True, help="Exit after the table instead of serving the page until interrupted."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="Write what happened to the file OUT.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-farm"),
    show_default=True,
    help="The farm's folder. What it holds is used again: nothing is fetched or compiled twice.",
)
@click.option("--git", metavar="URL", help="A CPython repository to follow, instead of the public one.")
@click.option("--cpython", metavar="VERSION", help="This release (3.13.5) instead of the newest there is.")
@click.option(
    "--project", "projects", multiple=True, metavar="NAME", help="Only this project; may be given again."
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(list(VARIANTS)),
    default=("default",),
    show_default=True,
    help="Build this variant; may be given again.",
)
@click.option("--no-install", is_flag=True, help="Never install system packages; say what is missing.")
@click.option(
    ALLOW,
    "without_sandbox",
    is_flag=True,
    help="Run the suites where no sandbox works: their code may then do whatever you may.",
)
def demo(
    *,
    once: bool,
    json_file: Path | None,
    folder: Path,
    git: str | None,
    cpython: str | None,
    projects: tuple[str, ...],
    variants: tuple[str, ...],
    no_install: bool,
    without_sandbox: bool,
) -> None:
    """Build a real CPython and run the suites of real projects on it, on a farm on this machine.

    The farm is all there: a Buildbot master, two workers, the status page. CPython comes from its public
    repository, or, where that cannot be reached, from the newest source package of the system's distribution.
    It takes about a quarter of an hour on two cores the first time. A second time the suites run again, and nothing is
    compiled. The page is served until you press Ctrl-C.

    Exit status: 0 when every interpreter was proven and every suite was run (a suite whose tests fail is a
    result like any other), 1 when something was not carried out, 2 when this machine or the options do not
    serve.
    """
    wishes = Wishes(
        folder,
        git,
        cpython,
        projects,
        tuple(dict.fromkeys(variants)),
        not no_install,
        json_file,
        without_sandbox,
    )
    sys.exit(_carry_out(wishes, once=once))


def _carry_out(wishes: Wishes, *, once: bool) -> int:
    console = Console()
    with signals_put_back(), display(console, time.monotonic) as shown:
        demonstration = Demonstration(wishes, shown)
        try:
            on_signals(interrupt)
            return _demonstrate(demonstration, once=once)
        except InterruptedBySignal as interrupted:
            shown.say("stopping the farm")
            return 128 + interrupted.number
        except (MachineUnfitError, FolderError) as error:
            shown.say(str(error))
            return BAD_USE
        except (SourceError, ChildEndedError, NotStartedError) as error:
            shown.say(str(error))
            return NOT_CARRIED_OUT
        finally:
            on_signals(signal.SIG_IGN)  # tidying up must not be disturbed; it takes seconds
            demonstration.stop()


def _demonstrate(demonstration: Demonstration, *, once: bool) -> int:
    status = 0 if demonstration.carry_out() else NOT_CARRIED_OUT
    if once:
        return status
    demonstration.display.say("Ctrl-C ends it.")
    try:
        demonstration.serve()
    except InterruptedBySignal:
        demonstration.display.say("stopping the farm")
    return status
