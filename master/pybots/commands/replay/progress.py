"""Keeps how far the heads are, and has it shown every second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

from pybots.commands.demonstration.progress import Display
from pybots.commands.demonstration.stages import Progress, Stage

SHOW_SECONDS = 1.0
FIRST_GUESS = 60.0
"""How long a head takes, before one was there."""
SHOWN = 12
"""Of many heads, those around the one that is under way."""


class HeadsProgress:
    """One stage for each head."""

    def __init__(self, display: Display, monotonic: Callable[[], float], commits: Sequence[str]) -> None:
        self.display = display
        self.monotonic = monotonic
        self._stages = [
            Stage(f"head {number} {commit[:12]}", Progress.WAITING, "", 0.0, FIRST_GUESS)
            for number, commit in enumerate(commits)
        ]
        self._began = 0.0
        self._lock = threading.RLock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._show_on, daemon=True)

    def begin(self, index: int) -> None:
        """The head *index* is shown."""
        with self._lock:
            self._began = self.monotonic()
            guess = self._guess(index)
            self._stages[index:] = [replace(stage, expected=guess) for stage in self._stages[index:]]
            self._stages[index] = replace(self._stages[index], progress=Progress.ACTIVE)
        self._show()

    def _guess(self, index: int) -> float:
        # The first head takes longer than those after it: everything is new.
        taken = [stage.seconds for stage in self._stages[1 if index > 1 else 0 : index]]
        return sum(taken) / len(taken) if taken else FIRST_GUESS

    def detail(self, index: int, text: str) -> None:
        """Say what is under way."""
        with self._lock:
            self._stages[index] = replace(
                self._stages[index], detail=text, seconds=self.monotonic() - self._began
            )

    def end(self, index: int, text: str) -> None:
        """The head *index* is settled."""
        self.detail(index, text)
        with self._lock:
            self._stages[index] = replace(self._stages[index], progress=Progress.DONE)
        self._show()

    def stages(self) -> list[Stage]:
        """Return those that are worth showing."""
        with self._lock:
            if len(self._stages) <= SHOWN:
                return list(self._stages)
            done = sum(stage.progress is Progress.DONE for stage in self._stages)
            first = min(max(done - SHOWN // 2, 0), len(self._stages) - SHOWN)
            rest = sum(stage.left for stage in self._stages[first + SHOWN :])
            more = Stage("later heads", Progress.WAITING, "", 0.0, rest)
            return [*self._stages[first : first + SHOWN], *([more] if rest else [])]

    def _show(self) -> None:
        with self._lock:
            self.display.show(self.stages())

    def _show_on(self) -> None:
        while not self._end.wait(SHOW_SECONDS):
            self._show()

    def __enter__(self) -> HeadsProgress:
        """Begin to show."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state."""
        self._end.set()
        self._thread.join()
        self._show()
