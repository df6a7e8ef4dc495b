"""Decides when the master has to be asked for runs, and when nothing will come any more."""

from __future__ import annotations

from pybots.commands.demonstration.stages import Standing
from pybots.runs.status import State

SILENT_SECONDS = 2 * 3600.0
"""Without any change for so long, nothing will come any more: every run has limits below this."""
PLANNING_SECONDS = 90.0
"""What is due to be planned is planned within this time: the master looks for forgotten runs every minute."""


class Patience:
    """Follows what changes; told the time (seconds that only grow)."""

    def __init__(self, ask_after: float, now: float) -> None:
        self.ask_after = ask_after
        self._last: object = None
        self._changed = now
        self._asked: float | None = None

    def is_over(self, standing: Standing, now: float) -> bool:
        """Whether nothing will come: no interpreter serves, no runs came when asked for, no change for hours."""
        state = (standing.interpreters, standing.runs, standing.phases)
        if state != self._last:
            self._last, self._changed = state, now
        if not _idle(standing):
            return now - self._changed > SILENT_SECONDS
        hopeless = not any(fact.artifact for fact in standing.interpreters)
        in_vain = self._asked is not None and now - max(self._asked, self._changed) > PLANNING_SECONDS
        return hopeless or in_vain

    def should_ask(self, standing: Standing, now: float) -> bool:
        """Whether the master has to be asked for runs now: nothing is under way, and it was not asked yet."""
        if self._asked is not None or not _idle(standing) or now - self._changed < self.ask_after:
            return False
        self._asked = now
        return True


def _idle(standing: Standing) -> bool:
    states = [fact.state for fact in standing.interpreters] + [fact.state for fact in standing.runs]
    return bool(standing.interpreters) and all(state == State.FINISHED for state in states)
