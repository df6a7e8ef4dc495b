"""Decides what a farm's time for many runs comes to: the lower bound, and where the rest went."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Carried:
    """One run: when its worker was given it, when its result was saved, and how long it took by its own account.

    Times are seconds since the interpreter's build ended.
    """

    worker: str
    started: float
    finished: float
    seconds: float


def lower_bound(seconds: Sequence[float], workers: int) -> float:
    """Return the time below which no schedule of runs that take *seconds* on so many workers can end."""
    return max(sum(seconds) / workers, *seconds)


def makespan(runs: Sequence[Carried]) -> float:
    """Return when the last result was saved."""
    return max(run.finished for run in runs)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the time beyond the lower bound went: means over the runs or workers, in seconds."""

    first: float
    """Until a worker was given its first run."""
    between: float
    """From one run's result to the next run, on one worker."""
    around: float
    """Within a run's build, but not in the run itself: claimed, handed over, brought back, taken in."""
    idle_at_end: float
    """A worker with nothing left, while others still ran."""


def parts(runs: Sequence[Carried]) -> Parts:
    """Return where the time went."""
    by_worker: defaultdict[str, list[Carried]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started):
        by_worker[run.worker].append(run)
    end = makespan(runs)
    gaps = [
        after.started - before.finished
        for carried in by_worker.values()
        for before, after in pairwise(carried)
    ]
    return Parts(
        first=statistics.fmean(carried[0].started for carried in by_worker.values()),
        between=statistics.fmean(gaps) if gaps else 0.0,
        around=statistics.fmean(run.finished - run.started - run.seconds for run in runs),
        idle_at_end=statistics.fmean(end - carried[-1].finished for carried in by_worker.values()),
    )
