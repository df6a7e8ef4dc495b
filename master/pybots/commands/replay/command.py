"""`pybots replay`: a slice of any history through a real master and real workers."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from pybots.commands.demonstration.children import ChildEndedError
from pybots.commands.demonstration.farm_folder import FolderError
from pybots.commands.demonstration.local_repository import SourceError
from pybots.commands.demonstration.machine import MachineUnfitError
from pybots.commands.demonstration.progress import display
from pybots.commands.demonstration.running_farm import NotStartedError
from pybots.commands.interrupt import InterruptedBySignal, interrupt, on_signals, signals_put_back
from pybots.commands.master_process import MasterError
from pybots.commands.replay.run import NotSettledError, ReplayRun, Wishes
from pybots.config.problems import ConfigurationError
from pybots_worker.sandbox.words import ALLOW

NOT_CARRIED_OUT = 1
BAD_USE = 2


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="A new folder for the replay's farm; `pybots show DIR` shows it afterwards.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="OUT",
    help="Write what was found to the file OUT.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=7200.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when nothing at all has changed for so long.",
)
@click.option(
    ALLOW,
    "without_sandbox",
    is_flag=True,
    help="Run the suites where no sandbox works: their code may then do whatever you may.",
)
def replay(*, file: Path, folder: Path, json_file: Path, patience: float, without_sandbox: bool) -> None:
    """Run a farm over a slice of CPython's history, and write what it finds.

    FILE (TOML) names a repository, the heads that the farm is shown, the projects' recipes, and what else changes on
    the way: a project's revision, the distributions there are, a worker that fails. Each head is shown when the one
    before it is settled: its interpreters are made, its suites have run, and every difference has its verdict.

    \b
        [trunk]
        git = "../cpython"
        heads = ["1a2b3c4d5e6f", "6f5e4d3c2b1a"]
        [[project]]
        recipe = "recipes/genshi.toml"

    Exit status: 0 when every head was settled, whatever was found; 1 when something was not carried out; 2 when
    FILE has a mistake (each is named with its line), or this machine does not serve.
    """
    sys.exit(_carry_out(Wishes(file, folder, json_file, patience, without_sandbox)))


def _carry_out(wishes: Wishes) -> int:
    with signals_put_back(), display(Console(), time.monotonic) as shown:
        run = ReplayRun(wishes, shown)
        try:
            on_signals(interrupt)
            run.carry_out()
        except InterruptedBySignal as interrupted:
            shown.say("stopping the farm")
            return 128 + interrupted.number
        except (ConfigurationError, FolderError, MachineUnfitError) as error:
            shown.say(str(error))
            return BAD_USE
        except (SourceError, ChildEndedError, NotStartedError, NotSettledError, MasterError) as error:
            shown.say(str(error))
            return NOT_CARRIED_OUT
        finally:
            on_signals(signal.SIG_IGN)  # tidying up must not be disturbed; it takes seconds
            run.stop()
        return 0
