"""Decides what subject runs of a generated history show, and how each differs from those before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.accuracy_history import History
from bench.accuracy_world import Seen, World
from pybots.incidents.close import Shown, Tried, ended
from pybots.results.intervals import Interval, record
from pybots.results.intervals import Seen as SeenOutcome
from pybots.results.outcome import BAD, Outcome
from pybots.verdicts.compare import (
    UNJUDGED,
    difference_of,
    is_covered,
    showing,
    whole_run,
    whole_showing,
)
from pybots.verdicts.evidence import WHOLE_RUN, Axis, Difference, Kind, Showing, Stretch
from pybots.verdicts.history import Seen as SeenAt
from pybots.verdicts.history import last_telling, seen_at, stretches, with_controls


@dataclass(frozen=True)
class Run:
    """A judged subject run."""

    head: int
    worker: str
    seen: Seen


@dataclass
class Member:
    """An item of an open incident: how it differed, what its trials showed, and what subject runs show since then."""

    difference: Difference
    tried: Tried
    since: list[Shown] = field(default_factory=list)


def subject_runs(world: World) -> list[Run | None]:
    """Return the subject run at each head; None where it could not be judged."""
    history = world.history
    found: list[Run | None] = []
    for head in range(history.heads):
        contents = {axis: history.content(axis, head) for axis in Axis}
        seen = world.run(contents, history.workers[head], float(head))
        found.append(None if seen.status in UNJUDGED else Run(head, history.workers[head], seen))
    return found


class Past:
    """What earlier runs showed: intervals of the tests that ever did anything but pass, and how runs ended."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.runs: list[Run] = []
        self.complete: list[Run] = []
        self._intervals: dict[str, list[Interval]] = {}
        self.controls: dict[str, list[SeenAt]] = {}
        """By item, what the trials that put everything back showed in earlier comparisons, at their baselines."""
        self.broken: dict[str, Member] = {}
        """What belongs to an open incident is known."""
        self._tests = sorted(
            {flake.test for flake in history.flakes}.union(
                *(one.tests for one in history.breaks), *(one.tests for one in history.troubles)
            )
        )

    def take_in(self, run: Run) -> None:
        """Add a run that came after all others."""
        self.runs.append(run)
        for item, member in list(self.broken.items()):
            member.since.append(Shown(run.head, shown_by(run.seen, member.difference)))
            if ended(member.tried, member.since, may_go=item != WHOLE_RUN):
                del self.broken[item]
        if not run.seen.complete:
            return
        self.complete.append(run)
        for test in self._tests:
            seen = SeenOutcome(run.seen.outcome(test))
            history = self._intervals.setdefault(test, [])
            if not history or history[-1].seen != seen:
                self._intervals[test] = record(history, run.head, seen, None)

    @property
    def places(self) -> list[int]:
        """The heads of the complete runs."""
        return [one.head for one in self.complete]

    def differences(self, run: Run) -> list[Difference]:
        """Return how *run*, which is not in the past yet, differs from it."""
        before = self.runs[-1].seen if self.runs else None
        counts = [_counts(seen, self._history.suite_tests) for seen in (before, run.seen)]
        kind = whole_run(before.status if before else None, run.seen.status, *counts)
        found = [self._whole(kind)] if kind else []
        if run.seen.complete:
            found += [one for one in self._tests_of(run) if not is_covered(kind, one.kind)]
        return found

    def _whole(self, kind: Kind) -> Difference:
        seen = [
            SeenAt(
                run.head, whole_showing(kind, run.seen.status, _counts(run.seen, self._history.suite_tests))
            )
            for run in self.runs
        ]
        return Difference(WHOLE_RUN, kind, kind.value, self._stretches(WHOLE_RUN, seen))

    def _stretches(self, item: str, seen: list[SeenAt]) -> tuple[Stretch, ...]:
        return stretches(with_controls(seen, self.controls.get(item, ())))

    def _tests_of(self, run: Run) -> Iterator[Difference]:
        places = self.places
        for test in self._tests:
            outcome = run.seen.outcome(test)
            if outcome is Outcome.PASSED:
                continue
            history = self._intervals.get(test, [])
            before = self.complete[-1].seen.outcome(test) if self.complete else None
            if outcome in BAD and before in {Outcome.SKIPPED, Outcome.ABSENT}:
                before = last_telling(history, run.head)
            kind = difference_of(before, outcome, len(places))
            if kind:
                signature = run.seen.tests[test][1] if test in run.seen.tests else ""
                past = self._stretches(test, seen_at(history, places, kind))
                yield Difference(test, kind, signature, past)


def shown_by(seen: Seen, difference: Difference) -> Showing:
    """Return what a run shows of a difference."""
    if difference.item == WHOLE_RUN:
        return whole_showing(difference.kind, seen.status, _counts(seen, 1))
    return showing(difference.kind, seen.outcome(difference.item)) if seen.complete else Showing.UNKNOWN


def _counts(seen: Seen | None, suite: int) -> dict[Outcome, int]:
    if seen is None or not seen.complete:
        return {}
    return {Outcome.SKIPPED if seen.all_skipped else Outcome.PASSED: suite}
