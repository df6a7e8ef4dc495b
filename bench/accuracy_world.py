"""Decides what one execution shows in a generated history: the simulated executor of runs and trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from bench.accuracy_history import Break, Flake, History
from pybots.results.outcome import Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.evidence import Axis, Kind

_STATUS = {
    Kind.INSTALL_FAILED.value: RunStatus.INSTALL_FAILED,
    Kind.COLLECTION_FAILED.value: RunStatus.COLLECTION_FAILED,
    Kind.CRASHED.value: RunStatus.CRASHED,
    Kind.TIMED_OUT.value: RunStatus.TIMED_OUT,
}
_OUTCOME = {
    Kind.ERROR.value: Outcome.ERROR,
    Kind.SKIPPED.value: Outcome.SKIPPED,
    Kind.VANISHED.value: Outcome.ABSENT,
}


@dataclass(frozen=True)
class Seen:
    """What a run showed: the tests that did anything but pass, with their signatures."""

    status: RunStatus
    tests: Mapping[str, tuple[Outcome, str]] = field(default_factory=dict)
    all_skipped: bool = False

    @property
    def complete(self) -> bool:
        """Say whether the suite ran to its end."""
        return self.status in {RunStatus.PASSED, RunStatus.TESTS_FAILED}

    def outcome(self, test: str) -> Outcome:
        """Return what *test* did."""
        if self.all_skipped:
            return Outcome.SKIPPED
        return self.tests[test][0] if test in self.tests else Outcome.PASSED


@dataclass(frozen=True)
class World:
    """A history and the chance that is drawn in it."""

    history: History
    random: Random

    def run(
        self, contents: Mapping[Axis, int], worker: str, time: float, alone: frozenset[str] | None = None
    ) -> Seen:
        """Return what a run of *contents* at *time* (in heads) shows; *alone*: of these tests only."""
        history = self.history
        if any(
            trouble.noticed and trouble.worker == worker and trouble.at <= time < trouble.until
            for trouble in history.troubles
        ):
            return Seen(RunStatus.WORKER_UNFIT)
        active = [one for one in history.breaks if self._is_on(one, contents, alone)]
        for one in active:
            if not one.tests and one.kind in _STATUS:
                return Seen(_STATUS[one.kind])
        if any(not one.tests for one in active):
            return Seen(RunStatus.PASSED, all_skipped=True)
        return self._suite(active, worker, time, alone)

    def _is_on(self, one: Break, contents: Mapping[Axis, int], alone: frozenset[str] | None) -> bool:
        if one.only_together and alone is not None:
            return False
        return all(
            one.at <= contents[Axis(axis)] and (one.until is None or contents[Axis(axis)] < one.until)
            for axis in one.axes
        )

    def _suite(self, active: Iterable[Break], worker: str, time: float, alone: frozenset[str] | None) -> Seen:
        found: dict[str, tuple[Outcome, str]] = {}
        for flake in self.history.flakes:
            if (alone is None or flake.test in alone) and self._flakes(
                flake, worker, time, alone is not None
            ):
                found[flake.test] = (Outcome.FAILED, flake.signature)
        for trouble in self.history.troubles:
            if trouble.worker in {"", worker} and trouble.at <= time < trouble.until:
                found |= dict.fromkeys(trouble.tests, (Outcome.FAILED, "trouble"))
        for one in active:
            for test in one.tests:
                if one.rate >= 1 or self.random.random() < one.rate:
                    what = f"{one.kind} by {one.axes} at {one.at}"
                    signature = what if one.one_signature else f"{what} in {test}"
                    found[test] = (_OUTCOME.get(one.kind, Outcome.FAILED), signature)
        if alone is not None:
            found = {test: seen for test, seen in found.items() if test in alone}
        failed = any(outcome in {Outcome.FAILED, Outcome.ERROR} for outcome, _ in found.values())
        return Seen(RunStatus.TESTS_FAILED if failed else RunStatus.PASSED, found)

    def _flakes(self, flake: Flake, worker: str, time: float, alone: bool) -> bool:
        in_window = any(start <= time < end for start, end in flake.windows)
        match flake.mode:
            case "order":
                rate = 0.0 if alone else flake.rate
            case "load":
                rate = min(1.0, flake.rate * (4.0 if in_window else 1.0) * (0.2 if alone else 1.0))
            case "worker":
                rate = flake.rate if worker == flake.worker else 0.0
            case "correlated":
                rate = flake.rate if in_window else 0.0
            case _:
                rate = flake.rate
        return self.random.random() < rate


def world(history: History, draws: str) -> World:
    """Return *history* with chance of its own; the same for the same *draws*."""
    return World(history, Random(f"{history.seed} {draws}"))  # noqa: S311  (nothing here is secret)
