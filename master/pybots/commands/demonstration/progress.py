"""Talks to the terminal: shows stages with an estimate; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pybots.commands.demonstration.stages import Progress, Stage, seconds_left

REMIND_SECONDS = 30.0
"""Without a terminal, a stage that goes on without news is mentioned this often."""
DETAIL_SECONDS = 5.0
"""... and its phases at most this often."""
SIGNS = {Progress.WAITING: "·", Progress.ACTIVE: "▸", Progress.DONE: "✓", Progress.FAILED: "✗"}
STYLES = {Progress.WAITING: "dim", Progress.ACTIVE: "cyan", Progress.DONE: "green", Progress.FAILED: "red"}


class Display(Protocol):
    """Where progress goes."""

    def show(self, stages: Sequence[Stage]) -> None:
        """Show how the stages stand now."""

    def say(self, text: str) -> None:
        """Add a line that stays."""

    def __enter__(self) -> Display:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""


def duration(seconds: float) -> str:
    """A length of time for people: `45 s`, `3 min 20 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def stage_line(stage: Stage) -> str:
    """One stage as a plain line."""
    words = f"{stage.name}: {stage.detail}" if stage.detail else f"{stage.name}: {stage.progress}"
    if stage.progress is Progress.ACTIVE:
        return f"{words} ({duration(stage.seconds)} of about {duration(stage.expected)})"
    if stage.progress is Progress.WAITING:
        return words
    return f"{words} ({duration(stage.seconds)})"


class PlainLines:
    """One line for each change; a stage that goes on without a change is mentioned now and then."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float], workers: int = 2) -> None:
        self.stream = stream
        self.monotonic = monotonic
        self.workers = workers
        self.began = monotonic()
        self._said: dict[str, tuple[Stage, float]] = {}
        self._told = ""

    def show(self, stages: Sequence[Stage]) -> None:
        """Print the stages that have news."""
        now = self.monotonic()
        for stage in stages:
            if self._has_news(stage, now):
                self._said[stage.name] = (stage, now)
                self._print(stage_line(stage) + self._left(stage, stages))

    def _has_news(self, stage: Stage, now: float) -> bool:
        if stage.name not in self._said:
            return stage.progress is not Progress.WAITING
        before, when = self._said[stage.name]
        if before.progress is not stage.progress:
            return True
        if stage.progress is not Progress.ACTIVE:
            return False
        news = stage.detail not in {before.detail, self._told}
        return now - when >= (DETAIL_SECONDS if news else REMIND_SECONDS)

    def _left(self, stage: Stage, stages: Sequence[Stage]) -> str:
        left = seconds_left(stages, self.workers)
        return f"; about {duration(left)} left in all" if left and stage.progress is Progress.DONE else ""

    def say(self, text: str) -> None:
        """Print *text*."""
        self._told = text
        self._print(text)

    def _print(self, text: str) -> None:
        minutes, seconds = divmod(int(self.monotonic() - self.began), 60)
        for line in text.splitlines() or [""]:
            self.stream.write(f"[{minutes:02}:{seconds:02}] {line}\n")
        self.stream.flush()

    def __enter__(self) -> PlainLines:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""


class LiveTable:
    """A table that is drawn again in place."""

    def __init__(self, console: Console, workers: int = 2) -> None:
        self.console = console
        self.workers = workers
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def show(self, stages: Sequence[Stage]) -> None:
        """Draw the stages."""
        table = Table.grid(padding=(0, 2))
        for stage in stages:
            table.add_row(*_cells(stage))
        left = seconds_left(stages, self.workers)
        foot = Text(f"about {duration(left)} left" if left else "", style="dim")
        self._live.update(Group(table, foot))

    def say(self, text: str) -> None:
        """Print *text* above the table."""
        self._live.console.print(text, highlight=False, markup=False)

    def __enter__(self) -> LiveTable:
        """Take the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state standing."""
        self._live.stop()


def _cells(stage: Stage) -> list[Text]:
    style = STYLES[stage.progress]
    time = "" if stage.progress is Progress.WAITING else duration(stage.seconds)
    if stage.progress in {Progress.WAITING, Progress.ACTIVE}:
        time = f"{time} of about {duration(stage.expected)}".strip()
    return [
        Text(SIGNS[stage.progress], style),
        Text(stage.name),
        Text(stage.detail, style),
        Text(time, "dim"),
    ]


def display(console: Console, monotonic: Callable[[], float]) -> Display:
    """The display that suits *console*."""
    if console.is_terminal:
        return LiveTable(console)
    return PlainLines(cast("TextIO", console.file), monotonic)
