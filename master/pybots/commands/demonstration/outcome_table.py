"""Decides how the end is told: a table of interpreters and runs as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from pybots.commands.demonstration.stages import Standing
from pybots.commands.facts import InterpreterFact, RunFact

HEADINGS = (
    "project",
    "revision",
    "status",
    "collected",
    "passed",
    "failed",
    "error",
    "skipped",
    "deselected",
    "seconds",
)
TEXT_COLUMNS = 3


def table(standing: Standing) -> str:
    """The runs, with one more row for their sum, and the interpreters that they ran on."""
    runs = sorted(standing.runs, key=lambda run: (run.project, str(run.track)))
    several = len(standing.interpreters) > 1
    rows = [list(HEADINGS), *(_run_row(run, several=several) for run in runs)]
    if len(runs) > 1:
        rows.append(_sum_row(runs))
    interpreters = [
        ["interpreter", "commit", "status", "seconds"],
        *map(_interpreter_row, standing.interpreters),
    ]
    return aligned(interpreters, 3) + "\n\n" + aligned(rows, TEXT_COLUMNS)


def _interpreter_row(fact: InterpreterFact) -> list[str]:
    return [str(fact.track), fact.commit[:12], fact.status or fact.state, f"{fact.seconds:.0f}"]


def _run_row(run: RunFact, *, several: bool) -> list[str]:
    name = f"{run.project} ({run.track.variant})" if several else run.project
    counts = (run.collected, run.passed, run.failed, run.error, run.skipped, run.deselected)
    # A commit's name is known by its beginning; a version is short anyway.
    return [name, run.revision[:12], run.status or run.state, *map(str, counts), f"{run.seconds:.0f}"]


def _sum_row(runs: Sequence[RunFact]) -> list[str]:
    names = ("collected", "passed", "failed", "error", "skipped", "deselected")
    sums = [str(sum(getattr(run, name) for run in runs)) for name in names]
    return ["in all", "", "", *sums, f"{sum(run.seconds for run in runs):.0f}"]


def aligned(rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """*rows* in columns: the first *text_columns* to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
