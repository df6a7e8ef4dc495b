"""Decides whether a head is settled: everything that it set off is at rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pybots.interpreters.plan import TrackName


@dataclass(frozen=True, slots=True)
class HeadStanding:
    """How the farm stands while one head is shown."""

    seen: bool = False
    """The poller has seen it."""
    interpreters: Mapping[TrackName, str] = field(default_factory=dict)
    """Of the head's commit, by track: the status; empty while it is not finished."""
    missing: tuple[str, ...] = ()
    """Projects that have no run yet on one of those that were proven."""
    unfinished_interpreters: int = 0
    """Of any commit."""
    unfinished_runs: int = 0
    """Of any commit and role."""
    runs: int = 0
    """All of them, finished or not."""
    due: int = 0
    """Subject runs and comparisons that have still to be looked at."""
    waiting: int = 0
    """Comparisons that go on when there are more runs, or a later head."""

    @property
    def resting(self) -> bool:
        """Nothing is under way."""
        return (
            self.seen
            and all(self.interpreters.values())
            and not self.unfinished_interpreters
            and not self.unfinished_runs
            and not self.due
        )

    def settled(self, *, last: bool) -> bool:
        """Whether the next head may come; after the *last* one nothing is waited for any more."""
        return self.resting and not self.missing and not (last and self.waiting)

    def words(self) -> str:
        """Say what is under way, in a few words."""
        if not self.seen:
            return "the poller looks"
        if self.unfinished_interpreters:
            return "interpreters are made"
        counts = [
            (self.unfinished_runs, "run", "under way"),
            (len(self.missing), "run", "to be planned"),
            (self.due, "comparison", "due"),
            (self.waiting, "comparison", "open"),
        ]
        said = [f"{count} {noun}{'s'[: count > 1]} {state}" for count, noun, state in counts if count]
        return ", ".join(said) or "settled"


def outcome(standing: HeadStanding) -> str:
    """Say in a few words what came of a head."""
    statuses = sorted(set(standing.interpreters.values())) or ["nothing was built"]
    return ", ".join(statuses)
