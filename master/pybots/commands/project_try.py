"""`pybots project try`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from pybots.commands.table import print_table
from pybots.config.problems import ConfigurationError
from pybots.registry.read import read_recipe
from pybots.registry.registry import Registered
from pybots.results.outcome import TestResult
from pybots.runs.status import RunStatus
from pybots_worker.contract import Packages, Phase

SHOWN_TESTS = 20
SHOWN_LINES = 6
SHOWN_LOG_LINES = 15


@click.command("try")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "--python", default=sys.executable, show_default="the one that runs Pybots", help="A name or a path."
)
@click.option("--keep", is_flag=True, help="Keep the source and the environment too, to look into.")
@click.option("--show-log", is_flag=True, help="Print the log as it comes.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where downloads are kept. [default: ~/.cache/pybots]"
)
@click.option(
    "--find-links",
    multiple=True,
    metavar="DIR",
    help="Take distributions from this folder too. May be repeated.",
)
@click.option("--offline", is_flag=True, help="Take distributions from --find-links alone.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; progress goes to standard error."
)
@click.option(
    "--run-projects-without-a-sandbox",
    "without_sandbox",
    is_flag=True,
    help="Run it where no sandbox works: its code may then do whatever you may.",
)
def try_(
    file: Path,
    python: str,
    cache: Path | None,
    find_links: tuple[str, ...],
    *,
    keep: bool,
    show_log: bool,
    offline: bool,
    as_json: bool,
    without_sandbox: bool,
) -> None:
    """Run the recipe FILE on this machine, with the same code as a worker.

    Fetches the source, makes an environment, installs, runs the suite under the recipe's limits, and reads its
    report. Nothing is shared with your own environments, and no farm is needed. Exit status 0 when the run
    passed, 1 when it did not.
    """
    # Imported here: reading reports takes a moment, and `pybots project --help` needs none of it.
    from pybots.commands.trial import Trial, carry_out_here  # noqa: PLC0415

    if as_json and show_log:
        raise click.UsageError("--json and --show-log both print to standard output; give one")
    registered = _recipe(file)
    trial: Trial = carry_out_here(
        registered,
        python=_python(python),
        packages=Packages(
            offline=offline, find_links=[str(Path(folder).absolute()) for folder in find_links]
        ),
        cache=cache or _default_cache(),
        keep=keep,
        echo=show_log,
        announce=_announce,
        without_sandbox=without_sandbox,
    )
    if as_json:
        click.echo(json.dumps(_as_object(trial), indent=1))
    else:
        _print(trial)
    sys.exit(0 if trial.conclusion.status is RunStatus.PASSED else 1)


def _recipe(file: Path) -> Registered:
    try:
        return read_recipe(file)
    except ConfigurationError as error:
        raise click.ClickException("\n".join(map(str, error.problems))) from error


def _python(given: str) -> Path:
    found = shutil.which(given)
    if found is None:
        raise click.BadParameter(f"{given!r} is not a program on this machine", param_hint="--python")
    # Not resolved: a link into an environment is that environment's Python.
    return Path(found).absolute()


def _default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "pybots")


def _announce(name: str, phase: Phase | None) -> None:
    if phase is None:
        click.echo(f"{name} ...", err=True)
    else:
        ended = "done" if phase.succeeded else "failed"
        click.echo(f"{name}: {ended} in {phase.seconds:.1f} s", err=True)


def _as_object(trial: Any) -> dict[str, Any]:
    result = trial.result
    return {
        "project": trial.specification.project,
        "status": trial.conclusion.status.value,
        "detail": trial.conclusion.detail,
        "complete": trial.conclusion.complete,
        "revision": result.revision,
        "seconds": round(result.seconds, 1),
        "suite_seconds": round(result.suite_seconds, 1),
        "phases": [phase.model_dump() for phase in result.phases],
        "counts": trial.counts(),
        "failures": [_failure(test) for test in trial.bad()],
        "lock": result.lock.digest if result.lock else None,
        "environment_digest": result.environment_digest,
        "log": str(trial.folder / "log.txt"),
        "folder": str(trial.folder),
    }


def _failure(test: TestResult) -> dict[str, str]:
    failure = test.failure
    return {
        "test": test.name,
        "outcome": test.outcome.value,
        "exception": failure.exception if failure else "",
        "message": failure.message if failure else "",
        "traceback": failure.traceback if failure else "",
    }


def _print(trial: Any) -> None:
    bad = trial.bad()
    for test in bad[:SHOWN_TESTS]:
        click.echo(f"\n{test.outcome.value}: {test.name}")
        for line in _last_lines(test):
            click.echo(f"    {line}")
    if len(bad) > SHOWN_TESTS:
        click.echo(f"\nand {len(bad) - SHOWN_TESTS} more; --json lists them all")
    if not trial.report.results and trial.conclusion.status is not RunStatus.PASSED:
        _print_log_end(trial.folder / "log.txt")
    click.echo()
    counts = trial.counts()
    if trial.report.results:
        print_table(list(counts), [[str(count) for count in counts.values()]])
    conclusion = trial.conclusion
    said = f": {conclusion.detail}" if conclusion.detail else ""
    revision = f" {trial.result.revision}" if trial.result.revision else ""
    click.echo(f"{trial.specification.project}{revision}: {conclusion.status.value}{said}")
    click.echo(f"suite {trial.result.suite_seconds:.1f} s of {trial.result.seconds:.1f} s")
    click.echo(f"log: {trial.folder / 'log.txt'}")


def _last_lines(test: TestResult) -> list[str]:
    failure = test.failure
    text = (failure.traceback or failure.message or failure.exception) if failure else ""
    return [line for line in text.splitlines() if line.strip()][-SHOWN_LINES:]


def _print_log_end(log: Path) -> None:
    if log.is_file():
        click.echo("\nthe end of the log:")
        for line in log.read_text(errors="replace").splitlines()[-SHOWN_LOG_LINES:]:
            click.echo(f"    {line}")
