"""The command `pybots`: names its subcommands, and imports the one that is asked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a subcommand is (`module:function`), and what it does in a few words."""

    target: str
    says: str


TABLE = {
    "init": Entry("pybots.commands.init:init", "Make the folder of a new farm."),
    "check": Entry(
        "pybots.commands.check:check", "Say what is wrong with a farm's configuration and recipes."
    ),
    "start": Entry("pybots.commands.master:start", "Start a farm's master."),
    "stop": Entry("pybots.commands.master:stop", "Stop it."),
    "reconfig": Entry("pybots.commands.master:reconfig", "Have it read its configuration again."),
    "backup": Entry(
        "pybots.commands.backup:backup", "Write what cannot be made again to a file, while it runs."
    ),
    "restore": Entry("pybots.commands.backup:restore", "Make a farm of a backup."),
    "store": Entry("pybots.commands.store:store", "See whether the stored interpreters are whole."),
    "show": Entry("pybots.commands.show:show", "Show what a farm found."),
    "incident": Entry(
        "pybots.commands.incident:incident", "List incidents, and acknowledge, mute or link them."
    ),
    "site": Entry("pybots.commands.site:site", "Serve the status page."),
    "replay": Entry(
        "pybots.commands.replay.command:replay",
        "Run a farm over a slice of history, and write what it finds.",
    ),
    "demo": Entry("pybots.commands.demo:demo", "See the whole farm at work on this machine."),
    "project": Entry("pybots.commands.project:project", "Check, list and try recipes."),
}


class Commands(click.Group):
    """Imports a subcommand only when it is run, so that `pybots --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which one meets them."""
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand; a part that is not installed is a message with the way to install it."""
        entry = TABLE.get(cmd_name)
        if entry is None:
            return None
        module, name = entry.target.split(":")
        try:
            command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise click.ClickException(_not_installed(cmd_name, error.name or "")) from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.says) for name, entry in TABLE.items()])


def _not_installed(command: str, module: str) -> str:
    if module.startswith("pybots"):
        return f"`pybots {command}` is not part of this version ({module} is missing)"
    return f"`pybots {command}` needs {module}, which is not installed; install pybots[master]"


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="pybots", prog_name="pybots")
def main(**_: Any) -> None:
    """Test every CPython commit against the projects that depend on it.

    To see it work: pybots demo. To run a farm: pybots init DIR, then pybots check DIR and pybots start DIR.
    To register your own project: pybots project --help.

    Exit status: 0, or 1 when the answer is no (a problem was found, a suite failed), or 2 for bad use.
    """


if __name__ == "__main__":
    sys.exit(main())
