"""Prints tables: drawn on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *headings*; off a terminal with two spaces or more between columns, unwrapped."""
    console = Console()
    if not console.is_terminal:
        _print_plain([headings, *rows])
        return
    table = Table(*headings)
    for row in rows:
        # As text: what stands in a recipe or a report is not markup.
        table.add_row(*map(Text, row))
    console.print(table)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
