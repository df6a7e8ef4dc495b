"""The command `pybots-worker`: what the master has a worker run, and what a volunteer types.

Each command imports what it alone needs: importing all of it takes longer than a short job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from pydantic import ValidationError

from pybots_worker import buildbot_worker
from pybots_worker.contract import (
    RESULT_FILE,
    SPECIFICATION_FILE,
    InterpreterResult,
    InterpreterSpecification,
    RunSpecification,
    Shape,
)
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.processes import StoppedError, recorded, stop_if_alone
from pybots_worker.runs.scratch import remove_scratch
from pybots_worker.sandbox import owner

if TYPE_CHECKING:
    from pybots_worker.doctor import Check

Specification = TypeVar("Specification", bound=Shape)
FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
CACHE = click.option(
    "--cache",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="What is kept from job to job.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Lend this machine to a Pybots farm.

    \b
    First see whether it is fit, then start it; it runs until it is interrupted:
        pybots-worker doctor --master farm.example.org:9989
        pybots-worker start DIR --master farm.example.org:9989 --name NAME --password-file FILE

    The master then has it run `build` and `run`; nobody needs to type those.
    """


@main.command()
@FOLDER
@CACHE
def run(folder: Path, cache: Path) -> None:
    """Carry out the run that FOLDER/specification.json asks for.

    Writes FOLDER/result.json, and report and log.zst beside it; what else is in FOLDER is deleted first. The exit
    status is 0 when a result was written, whatever it says.
    """
    from pybots_worker import faults  # noqa: PLC0415
    from pybots_worker.runs.carry_out import carry_out  # noqa: PLC0415

    specification = _read(folder, RunSpecification)
    _wipe(folder)
    buildbot_worker.take_back_environment()
    with _told_to_stop(), recorded(), faults.made(folder) as conditions:
        allowed = owner.allows_without_sandbox()
        carry_out(
            specification,
            folder=conditions.folder,
            cache=cache,
            echo=True,
            announce=conditions.announce,
            without_sandbox=allowed,
            wall_clock=conditions.wall_clock,
        )


@main.command()
@FOLDER
@CACHE
def build(folder: Path, cache: Path) -> None:
    """Build the interpreter that FOLDER/specification.json asks for.

    Writes FOLDER/result.json, and the packed interpreter beside it; what else is in FOLDER is deleted first. The
    exit status is 0 when a result was written, whatever it says.
    """
    from pybots_worker.interpreters.build import build_interpreter  # noqa: PLC0415

    specification = _read(folder, InterpreterSpecification)
    _wipe(folder)
    folder, cache = folder.resolve(), cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    buildbot_worker.take_back_environment()
    with _told_to_stop(), recorded():
        result = build_interpreter(specification, trees=cache / "trees", output=folder, cache=cache)
        stop_if_alone()
        temporary = folder / f"{RESULT_FILE}.part"
        temporary.write_text(result.model_dump_json(indent=1))
        temporary.replace(folder / RESULT_FILE)


@main.command()
@FOLDER
@CACHE
def pack(folder: Path, cache: Path) -> None:
    """Pack the files that FOLDER/wanted asks for, of the interpreter that was last built in FOLDER.

    Writes FOLDER/pack.
    """
    from pybots_worker.interpreters.pack import PackError, pack_wanted  # noqa: PLC0415

    result = InterpreterResult.model_validate_json((folder / RESULT_FILE).read_bytes())
    if result.artifact is None:
        raise click.ClickException("no interpreter was built here")
    try:
        pack_wanted(folder, result.artifact.digest)
    except PackError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--master", required=True, metavar="HOST:PORT", help="Where the farm's master listens for workers."
)
@click.option("--name", required=True, help="This worker's name, as the farm's operator gave it.")
@click.option(
    "--password-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that holds its password; only you should be able to read it.",
)
@click.option(
    "--run-projects-without-a-sandbox/--run-projects-in-a-sandbox-only",
    "without_sandbox",
    default=None,
    help="Whether to run projects where no sandbox works: strangers' code then may do whatever this account may."
    " Kept in DIR for the next start; at first: only in a sandbox.",
)
def start(folder: Path, master: str, name: str, password_file: Path, *, without_sandbox: bool | None) -> None:
    """Work for a farm, in the foreground, until interrupted.

    Everything is kept below DIR, and can be deleted when it does not run. What an earlier start left running
    after a crash is ended first. When the master is away, it is tried again every few seconds.
    """
    host, port = _address(master)
    folder = folder.resolve()
    buildbot_worker.prepare(
        folder,
        host=host,
        port=port,
        name=name,
        password_file=password_file.resolve(),
        without_sandbox=without_sandbox,
    )
    try:
        lock = buildbot_worker.claim(folder)
    except buildbot_worker.AlreadyRunningError as error:
        raise click.ClickException(str(error)) from error
    with lock:
        killed = buildbot_worker.end_leftovers(folder)
        if killed:
            click.echo(f"ended {killed} processes that an earlier worker left running")
        told = (folder / "info" / owner.INFO).read_text().strip()
        if told != "yes":
            click.echo(f"sandbox: {told}", err=True)
        click.echo(f"working for {host}:{port} as {name}; the log is {folder / 'twistd.log'}")
        sys.stdout.flush()
        buildbot_worker.run(folder)


@main.command("doctor")
@click.option(
    "--master", required=True, metavar="HOST:PORT", help="Where the farm's master listens for workers."
)
@click.option(
    "--dir",
    "folder",
    default=Path(),
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the worker is going to keep its things; default: here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def examine(master: str, folder: Path, as_json: bool) -> None:
    """See whether this machine can be a worker.

    Each line says what is wrong, and the one command that mends it. The exit status is 1 where something that a
    worker needs is missing.
    """
    from pybots_worker import doctor  # noqa: PLC0415

    host, port = _address(master)
    checks = []
    for check in doctor.examine(folder.resolve(), host, port):
        checks.append(check)
        if not as_json:
            _show(check)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    sys.exit(0 if all(check.good for check in checks if check.needed) else 1)


def _show(check: Check) -> None:
    mark = "ok     " if check.good else "missing" if check.needed else "advice "
    click.echo(f"{mark}  {check.name}: {check.detail}")
    if check.mend:
        click.echo(f"         mend it with: {check.mend}")


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        msg = f"{text!r} is not HOST:PORT, as in farm.example.org:9989"
        raise click.BadParameter(msg, param_hint="--master")
    return host.strip("[]"), int(port)


def _read(folder: Path, shape: type[Specification]) -> Specification:
    path = folder / SPECIFICATION_FILE
    try:
        return shape.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise click.UsageError(f"there is no {path}; the master writes it before it has this run") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise click.UsageError(f"{path}: {where}: {problem['msg']}") from error


def _wipe(folder: Path) -> None:
    """Delete what an earlier job left, read-only folders too."""
    remove_scratch(folder)
    for path in folder.iterdir():
        if path.name == SPECIFICATION_FILE:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def _told_to_stop() -> Iterator[None]:
    """Leave with status 143, as the shell has it, when we are told to stop."""
    try:
        yield
    except StoppedError as error:
        click.echo(f"stopped: {error}", err=True)
        sys.exit(143)


if __name__ == "__main__":
    main()
