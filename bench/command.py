"""The command line of every bench: shows what it found, writes it as JSON, and says by its status what is asked."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.figures import Comparison, Findings, Samples
from bench.machine import machine, moment


def bench(name: str) -> Callable[[Callable[..., Findings]], click.Command]:
    """Make a command of a function that measures; options are added to it with `click.option` below this.

    Exit status 0 whether or not the aims are met; 1 where they are not and `--require` is given.
    """

    def decorate(measure: Callable[..., Findings]) -> click.Command:
        @functools.wraps(measure)
        def command(json_file: Path | None, require: bool, **options: Any) -> None:
            before = moment()
            findings = measure(**options)
            facts = {
                "bench": name,
                "options": {key: str(value) for key, value in options.items()},
                "machine": machine() | {"begin": before, "end": moment()},
                **findings.facts(),
            }
            click.echo("\n".join(lines(facts, findings)))
            if json_file is not None:
                json_file.write_text(json.dumps(facts, indent=1) + "\n")
            sys.exit(1 if require and not findings.met else 0)

        with_options = click.option("--require", is_flag=True, help="Exit with 1 where an aim is not met.")(
            click.option(
                "--json",
                "json_file",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Write everything to FILE too.",
                metavar="FILE",
            )(command)
        )
        return click.command(
            name=f"python -m bench.{name}", context_settings={"help_option_names": ["-h", "--help"]}
        )(with_options)

    return decorate


def lines(facts: dict[str, Any], findings: Findings) -> list[str]:
    """Return what is printed."""
    made = facts["machine"]
    shown = [
        f"bench {facts['bench']}: {made['cores']} cores, CPython {made['cpython']}, SQLite {made['sqlite']},"
        f" Buildbot {made['buildbot']}; {made['begin']['at']}, load {made['begin']['load']}"
        f" at the beginning and {made['end']['load']} at the end"
    ]
    for comparison in findings.comparisons:
        shown += _of_comparison(comparison)
    shown += [f"  {_of_samples(samples)}" for samples in findings.figures]
    return [*shown, *(f"  note: {note}" for note in findings.notes)]


def _of_comparison(comparison: Comparison) -> list[str]:
    aim = f"; aim {comparison.aim}: {'met' if comparison.met else 'NOT MET'}" if comparison.aim else ""
    return [
        f"{comparison.name}",
        f"  ours  {_of_samples(comparison.ours)}",
        f"  peer  {_of_samples(comparison.peer)}",
        f"  ratio {_spread(comparison.ratio)}{aim}",
    ]


def _of_samples(samples: Samples) -> str:
    return f"{samples.what}: {_spread(samples)} {samples.unit}".rstrip()


def _spread(samples: Samples) -> str:
    values = samples.values
    if len(values) == 1:
        return number(values[0])
    return (
        f"{number(samples.median)} (median of {len(values)}, {number(min(values))} to {number(max(values))})"
    )


def number(value: float) -> str:
    """Return *value* with about four digits."""
    if value and abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}"
