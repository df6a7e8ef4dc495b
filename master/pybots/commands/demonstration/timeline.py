"""Keeps the stages and their durations, and has them shown every second."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from pybots.commands.demonstration.progress import Display
from pybots.commands.demonstration.stages import Progress, Stage, expected_seconds
from pybots.config.files import write_atomically

OWN_STAGES = ("machine", "source", "farm")
SHOW_SECONDS = 1.0


class Timeline:
    """The demonstration's own stages, then the farm's."""

    def __init__(self, display: Display, monotonic: Callable[[], float], known: Mapping[str, float]) -> None:
        self.display = display
        self.monotonic = monotonic
        self._own = [
            Stage(name, Progress.WAITING, "", 0.0, expected_seconds(name, known)) for name in OWN_STAGES
        ]
        self._farm: list[Stage] = []
        self._lock = threading.RLock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._show_on, daemon=True)
        self._began: float | None = None

    def stages(self) -> list[Stage]:
        """All of them, as they stand now."""
        with self._lock:
            elapsed = 0.0 if self._began is None else self.monotonic() - self._began
            own = [replace(s, seconds=elapsed) if s.progress is Progress.ACTIVE else s for s in self._own]
            return own + self._farm

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time the stage *name*; hands out what says its detail."""
        self._began = self.monotonic()
        self._change(name, progress=Progress.ACTIVE)
        try:
            yield lambda detail: self._change(name, detail=detail)  # shown within a second
        except BaseException:
            self._end_stage(name, Progress.FAILED)
            raise
        self._end_stage(name, Progress.DONE)

    def _end_stage(self, name: str, progress: Progress) -> None:
        assert self._began is not None
        self._change(name, progress=progress, seconds=self.monotonic() - self._began)

    def _change(
        self,
        name: str,
        *,
        progress: Progress | None = None,
        detail: str | None = None,
        seconds: float | None = None,
    ) -> None:
        with self._lock:
            index = [stage.name for stage in self._own].index(name)
            before = self._own[index]
            self._own[index] = replace(
                before,
                progress=progress or before.progress,
                detail=before.detail if detail is None else detail,
                seconds=before.seconds if seconds is None else seconds,
            )
        if progress is not None:
            self._show()

    def farm(self, stages: Sequence[Stage]) -> None:
        """What the farm's own stages are now."""
        with self._lock:
            self._farm = list(stages)
        self._show()

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took."""
        return {
            stage.name: round(stage.seconds, 1) for stage in self.stages() if stage.progress is Progress.DONE
        }

    def _show(self) -> None:
        with self._lock:
            self.display.show(self.stages())

    def _show_on(self) -> None:
        while not self._end.wait(SHOW_SECONDS):
            self._show()

    def __enter__(self) -> Timeline:
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


def read_durations(file: Path) -> dict[str, float]:
    """How long each stage took the last time; nothing where that is not known."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {str(name): float(seconds) for name, seconds in json.loads(file.read_text()).items()}
    return {}


def save_durations(file: Path, before: Mapping[str, float], now: Mapping[str, float]) -> None:
    """Keep how long the stages took, for the next time's estimates."""
    # What was kept from an earlier time took no time, and says nothing of how long it takes.
    taken = {name: seconds for name, seconds in now.items() if seconds >= 1 or name not in before}
    write_atomically(file, json.dumps({**before, **taken}, indent=1).encode())
