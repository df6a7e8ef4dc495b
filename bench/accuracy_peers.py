"""Judges a generated history as others do: Buildbot's "problem" mode, and retrying a failure three times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bench.accuracy_farm import BETWEEN_TRIALS, Claim, Judged, contents_of, cost, names_alone
from bench.accuracy_history import History
from bench.accuracy_past import Past, Run
from bench.accuracy_world import World
from pybots.results.outcome import Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.compare import showing, whole_showing
from pybots.verdicts.evidence import SUBJECT, WHOLE_RUN, Axis, Difference, Showing

RETRIES = 3
_NEWEST = frozenset({Axis.INTERPRETER})


def problem_mode(history: History, runs: Sequence[Run | None]) -> Judged:
    """Return what is told where every change from green to red is told, of the newest interpreter."""
    judged, before = Judged(), None
    for run in runs:
        if run is None:
            continue
        if before and _green(before) and not _green(run) and run.head >= history.past:
            tests = tuple(run.seen.tests) if run.seen.complete else (WHOLE_RUN,)
            judged.claims.append(Claim(run.head, before.head, tests, _NEWEST))
        before = run
    return judged


def _green(run: Run) -> bool:
    return run.seen.status is RunStatus.PASSED


def retry(
    world: World, runs: Sequence[Run | None], differences: Sequence[tuple[int, int, Difference]]
) -> Judged:
    """Return what is told where a difference is retried three times, until it passes, and told if it never does."""
    judged = Judged()
    for (head, before), new in groupby(differences, key=lambda one: one[:2]):
        run = runs[head]
        again = [one for *_, one in new if run and _still_there(world, run, one, judged)]
        for group in _by_signature(again):
            items = tuple(one.item for one in group)
            judged.claims.append(Claim(head, before, items, _NEWEST, group[0].kind.value))
    return judged


def _by_signature(differences: Sequence[Difference]) -> list[list[Difference]]:
    found: dict[tuple[str, str], list[Difference]] = {}
    for one in differences:
        found.setdefault((one.kind, one.signature), []).append(one)
    return list(found.values())


def _still_there(world: World, run: Run, difference: Difference, judged: Judged) -> bool:
    whole = difference.item == WHOLE_RUN
    alone = names_alone([difference])
    contents = contents_of(world.history, run.head, run.head, SUBJECT)
    for number in range(RETRIES):
        seen = world.run(contents, run.worker, run.head + BETWEEN_TRIALS * (1 + number), alone)
        judged.executions += cost(world.history, seen, alone)
        if whole:
            skipped = {Outcome.SKIPPED if seen.all_skipped else Outcome.PASSED: 1}
            shows = whole_showing(difference.kind, seen.status, skipped)
        else:
            shows = showing(difference.kind, seen.outcome(difference.item))
        if shows is Showing.AGREES:
            return False
    return True


def first_seen(history: History, runs: Sequence[Run | None]) -> list[tuple[int, int, Difference]]:
    """Return every first-seen difference, with its head and that of the complete run before it."""
    found, past = [], Past(history)
    for run in runs:
        if run is None:
            continue
        before = past.complete[-1].head if past.complete else 0
        if run.head >= history.past:
            found += [(run.head, before, one) for one in past.differences(run)]
        past.take_in(run)
    return found
