"""Decides on which worker a comparison's evidence lies, and what its trials have shown there of each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pybots.verdicts.evidence import SUBJECT, WHOLE_RUN, Back, Comparison, Showing, Trial
from pybots.verdicts.sequential import NONE, Counts

LOST_BEFORE_ANOTHER = 2
"""So many trials must end unjudged on one worker before another one carries out all of them anew."""
SILENT_BEFORE_GIVEN_UP = 2
"""So many trials that put the same back must say nothing of an item before that is not tried again."""


@dataclass(frozen=True)
class Gathered:
    """What is known of all items from *trials*, in whatever order they are."""

    comparison: Comparison
    trials: Sequence[Trial]

    @cached_property
    def home(self) -> str | None:
        """The worker that carries out the trials; None where each has failed to."""
        workers = [self.comparison.worker, *sorted(self.comparison.others)]
        lost = [trial.worker for trial in self.trials if not trial.judged]
        return next((worker for worker in workers if lost.count(worker) < LOST_BEFORE_ANOTHER), None)

    def readings(self, item: str, *, alone: bool) -> Mapping[Back, Counts]:
        """Return by what was put back how often *item* was bad on the home worker; without what says nothing."""
        found: dict[Back, Counts] = {}
        for trial in self._shown.get(item, ()):
            shows = trial.shows[item]
            if trial.worker == self.home and trial.alone is alone and shows is not Showing.UNKNOWN:
                counts = Counts(int(shows is Showing.DIFFERS), 1)
                found[trial.back] = found.get(trial.back, NONE).and_also(counts)
        return found

    def holes(self, item: str, *, alone: bool) -> frozenset[Back]:
        """Return what cannot be put back: it is gone, or nothing is to be learned of *item* there."""
        silent = [
            trial.back
            for trial in self._shown.get(item, ())
            if trial.alone is alone and trial.worker == self.home and trial.shows[item] is Showing.UNKNOWN
        ]
        told = self.readings(item, alone=alone)
        mute = {back for back in silent if silent.count(back) >= SILENT_BEFORE_GIVEN_UP and back not in told}
        return frozenset(mute | self._gone)

    def elsewhere(self, item: str) -> Counts:
        """Return how often *item* was bad in the subject again, on other workers than the home one."""
        shown = [
            trial.shows[item]
            for trial in self._shown.get(item, ())
            if trial.worker != self.home and trial.back == SUBJECT
        ]
        known = [shows for shows in shown if shows is not Showing.UNKNOWN]
        return Counts(known.count(Showing.DIFFERS), len(known))

    def nowhere_else(self, item: str) -> bool:
        """Say whether there is no other worker, or trials on others said nothing as often as is tried."""
        tried = [
            trial
            for trial in self.trials
            if item in trial.shows and trial.worker != self.home and trial.back == SUBJECT
        ]
        return not self.comparison.others or len(tried) >= SILENT_BEFORE_GIVEN_UP

    def asked(self, item: str) -> int:
        """Return how many trials have ended that were to say something of *item*, whatever they said."""
        return sum(item in trial.shows for trial in self.trials)

    def keys(self, item: str) -> tuple[str, ...]:
        """Return the trials that say something of *item*."""
        shown = self._shown.get(item, ())
        return tuple(sorted(trial.key for trial in shown if trial.shows[item] is not Showing.UNKNOWN))

    def cannot_be_alone(self, item: str) -> bool:
        """Say whether trials of *item* alone came back in which the whole suite had run all the same."""
        mine = [trial.alone for trial in self._shown.get(item, ())]
        if not mine or any(mine):
            return False
        return item == WHOLE_RUN or not any(trial.alone for trial in self._judged)

    @cached_property
    def _judged(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.judged and not trial.unfetchable]

    @cached_property
    def _gone(self) -> frozenset[Back]:
        return frozenset(trial.back for trial in self.trials if trial.unfetchable)

    @cached_property
    def _shown(self) -> Mapping[str, list[Trial]]:
        found: dict[str, list[Trial]] = {}
        for trial in self._judged:
            for item in trial.shows:
                found.setdefault(item, []).append(trial)
        return found
