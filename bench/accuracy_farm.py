"""Judges a generated history as the farm does: its own comparisons and decisions, over the simulated executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.accuracy_history import WORKERS, History
from bench.accuracy_past import Member, Past, Run, shown_by
from bench.accuracy_world import Seen, World
from pybots.incidents.close import Tried
from pybots.runs.status import RunStatus
from pybots.verdicts.compare import ALONE_SOME_TESTS, UNJUDGED
from pybots.verdicts.evidence import (
    WHOLE_RUN,
    Axis,
    Back,
    Comparison,
    Difference,
    Showing,
    Trial,
    WantedTrial,
)
from pybots.verdicts.examine import examine
from pybots.verdicts.history import Seen as SeenAt
from pybots.verdicts.history import baseline_place
from pybots.verdicts.verdict import CLAIMS, Verdict

BETWEEN_TRIALS = 0.004
"""In heads: some seconds, where a head is an hour."""
SOME_TESTS = 5
"""Of a suite that skips everything so many tests are run."""
BEFORE_THE_SUITE = frozenset({RunStatus.INSTALL_FAILED, RunStatus.COLLECTION_FAILED})


@dataclass(frozen=True)
class Claim:
    """What a judge told people: since *baseline*, these axes broke these items."""

    head: int
    baseline: int
    items: tuple[str, ...]
    axes: frozenset[Axis]
    kind: str = ""


@dataclass
class Judged:
    """What a judge said of a history, and what it cost."""

    claims: list[Claim] = field(default_factory=list)
    executions: int = 0
    verdicts: list[tuple[int, Verdict]] = field(default_factory=list)


@dataclass
class _Open:
    head: int
    baseline: int
    comparison: Comparison
    trials: list[Trial] = field(default_factory=list)
    decided: list[Verdict] = field(default_factory=list)


def judge(world: World, runs: Sequence[Run | None], alpha: float) -> Judged:
    """Return what the farm says of a history, and the tests that it executed for that."""
    judged, past, waiting = Judged(), Past(world.history), list[_Open]()
    for head, run in enumerate(runs):
        if run and head >= world.history.past:
            waiting = [_later(one, run) for one in waiting] + _compared(world.history, past, run)
        waiting = [one for one in waiting if _examined(one, world, head, alpha, judged, past)]
        if run:
            past.take_in(run)
    return judged


def _compared(history: History, past: Past, run: Run) -> list[_Open]:
    by_baseline: dict[int, list[Difference]] = {}
    for difference in past.differences(run):
        if difference.item in past.broken:
            continue
        place = baseline_place(difference.history, past.places)
        if place is not None:
            by_baseline.setdefault(place, []).append(difference)
    others = tuple(worker for worker in WORKERS if worker != run.worker)
    return [
        _Open(
            run.head,
            baseline,
            Comparison(
                run.worker,
                _moved(history, baseline, run.head),
                tuple(differences),
                others,
                more_expected=True,
                suite_tests=history.suite_tests,
            ),
        )
        for baseline, differences in by_baseline.items()
    ]


def _moved(history: History, baseline: int, head: int) -> frozenset[Axis]:
    return frozenset(axis for axis in Axis if history.content(axis, baseline) != history.content(axis, head))


def _later(one: _Open, run: Run) -> _Open:
    differences = tuple(
        replace(difference, later=(*difference.later, shows))
        if (shows := shown_by(run.seen, difference)) is not Showing.UNKNOWN
        else difference
        for difference in one.comparison.differences
    )
    one.comparison = replace(one.comparison, differences=differences)
    return one


def _examined(one: _Open, world: World, head: int, alpha: float, judged: Judged, past: Past) -> bool:
    """Examine until nothing more is wanted; say whether it still waits for a later run."""
    while True:
        found = examine(one.comparison, one.trials, (), alpha, one.decided)
        one.decided += found.verdicts
        judged.verdicts += [(one.head, verdict) for verdict in found.verdicts]
        judged.claims = _claims(judged.claims, one, found.verdicts)
        _remember(one, found.verdicts, past)
        if not found.wants:
            return found.waits_for_later
        for wanted in found.wants:
            time = head + min(0.99, BETWEEN_TRIALS * (1 + len(one.trials)))
            one.trials.append(_carried_out(one, world, wanted, time, judged))


def _remember(one: _Open, verdicts: Sequence[Verdict], past: Past) -> None:
    known = {difference.item: difference for difference in one.comparison.differences}
    for verdict in verdicts:
        shown = [(trial.back, trial.shows.get(verdict.item, Showing.UNKNOWN)) for trial in one.trials]
        if verdict.cause in CLAIMS:
            tried = [shows for back, shows in shown if not back]
            counts = Tried(tried.count(Showing.DIFFERS), tried.count(Showing.AGREES))
            past.broken[verdict.item] = Member(known[verdict.item], counts)
        else:
            controls = [
                SeenAt(one.baseline, shows)
                for back, shows in shown
                if back == one.comparison.moved and shows is not Showing.UNKNOWN
            ]
            past.controls.setdefault(verdict.item, []).extend(controls)


def _claims(before: Sequence[Claim], one: _Open, verdicts: Sequence[Verdict]) -> list[Claim]:
    """Return the claims with those of *verdicts*; a member's belongs to that of its representative."""
    claims = list(before)
    for verdict in verdicts:
        if verdict.cause not in CLAIMS:
            continue
        first = verdict.representative or verdict.item
        claim = Claim(one.head, one.baseline, (verdict.item,), frozenset(verdict.axes), verdict.kind.value)
        same = (
            number
            for number, other in enumerate(claims)
            if (other.head, other.baseline, other.items[0]) == (one.head, one.baseline, first)
        )
        number = next(same, None)
        if number is None:
            claims.append(claim)
        else:
            claims[number] = replace(claims[number], items=(*claims[number].items, verdict.item))
    return claims


def _carried_out(one: _Open, world: World, wanted: WantedTrial, time: float, judged: Judged) -> Trial:
    worker = wanted.worker or next(name for name in WORKERS if name not in wanted.not_on)
    contents = contents_of(world.history, one.head, one.baseline, wanted.back)
    known: Mapping[str, Difference] = {one.item: one for one in one.comparison.differences}
    alone = names_alone([known[item] for item in wanted.items]) if wanted.alone else None
    seen = world.run(contents, worker, time, alone)
    judged.executions += cost(world.history, seen, alone)
    unjudged = seen.status in UNJUDGED
    asked = wanted.items if wanted.alone else tuple(known)
    shows = {item: Showing.UNKNOWN if unjudged else shown_by(seen, known[item]) for item in asked}
    key = f"{one.head}-{one.baseline}-{wanted.serial}"
    return Trial(key, wanted.back, worker, wanted.alone, shows, judged=not unjudged)


def contents_of(history: History, head: int, baseline: int, back: Back) -> dict[Axis, int]:
    """Return what a trial is made of."""
    return {axis: history.content(axis, baseline if axis in back else head) for axis in Axis}


def names_alone(differences: Sequence[Difference]) -> frozenset[str]:
    """Return the tests that a trial of *differences* alone runs."""
    names = {one.item for one in differences} - {WHOLE_RUN}
    some = [f"t{number:03}" for number in range(SOME_TESTS)]
    return frozenset(names.union(*(some for one in differences if one.kind in ALONE_SOME_TESTS)))


def cost(history: History, seen: Seen, alone: frozenset[str] | None) -> int:
    """Return how many test executions a trial was; one that runs none counts for one."""
    if seen.status in UNJUDGED or seen.status in BEFORE_THE_SUITE:
        return 1
    return history.suite_tests if alone is None else max(1, len(alone))
