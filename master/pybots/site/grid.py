"""Decides what the grid of projects by tracks says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pybots.site.facts import Cell, Counts, Project, Run, Track
from pybots.site.words import Mark, Word, of_run

_NOT_RUN = Word("not run yet", Mark.NONE, "No run has finished on this track yet.")
_NOT_ASKED = Word("not asked for", Mark.NONE, "The project's recipe does not ask for this track.")
_EMPTY = Cell(None, None)


@dataclass(frozen=True, slots=True)
class Box:
    """One cell of the grid: the word and mark of the newest finished run, its numbers, where it leads."""

    track: Track
    word: Word
    counts: str
    run: Run | None
    """The newest finished run; where there is none, the one under way."""
    under_way: Run | None
    """Newer than `run`, and not finished."""
    asked: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One project's row of the grid."""

    project: Project
    boxes: tuple[Box, ...]

    @property
    def settled(self) -> bool:
        """Whether there is nothing in this row to look at."""
        return all(box.word.mark in {Mark.GOOD, Mark.NONE, Mark.WAITING} for box in self.boxes)


@dataclass(frozen=True, slots=True)
class Heading:
    """A branch and a variant, and over how many columns (platforms) they stand."""

    text: str
    columns: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Projects by tracks."""

    headings: tuple[Heading, ...]
    tracks: tuple[Track, ...]
    lines: tuple[Line, ...]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every cell, row by row."""
        return tuple(box for line in self.lines for box in line.boxes)


def arrange(
    projects: Sequence[Project], tracks: Sequence[Track], cells: Mapping[tuple[str, str], Cell]
) -> Grid:
    """Return the grid of every project that is registered or has results, on every track."""
    shown = [project for project in projects if project.registered or project.problem]
    lines = [
        Line(project, tuple(box(project, on, cells.get((project.name, on.name), _EMPTY)) for on in tracks))
        for project in shown
    ]
    by_variant = groupby(tracks, key=lambda track: (track.branch, track.variant))
    return Grid(
        headings=tuple(Heading(" · ".join(names), len(list(group))) for names, group in by_variant),
        tracks=tuple(tracks),
        lines=tuple(lines),
    )


def box(project: Project, track: Track, cell: Cell) -> Box:
    """Return what the cell of *project* on *track* says."""
    asked = track.name in project.tracks
    if cell.newest:
        run = cell.newest
        word, said = of_run(run.state, run.status), numbers(run.status, run.counts)
        return Box(track, word, said, run, cell.under_way, asked)
    if cell.under_way:
        return Box(track, of_run(cell.under_way.state, ""), "", cell.under_way, None, asked)
    return Box(track, _NOT_RUN if asked else _NOT_ASKED, "", None, None, asked)


def numbers(status: str, counts: Counts) -> str:
    """Return a run's numbers in a few words: `1,346 tests`, `3 of 1,346 tests`."""
    if not counts.collected:
        return ""
    if status == "passed" and counts.passed == 0:
        return f"all {counts.collected:,} skipped"
    if counts.bad:
        return f"{counts.bad:,} of {counts.collected:,} tests"
    return f"{counts.collected:,} tests" if status == "passed" else f"{counts.collected:,} tests reported"
