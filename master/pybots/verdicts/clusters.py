"""Decides which items are one fault: tried on one of them, and then once on each of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pybots.verdicts.axes import ORDER
from pybots.verdicts.evidence import SUBJECT, WHOLE_RUN, Axis, Back, Difference, Kind
from pybots.verdicts.history import suspicion
from pybots.verdicts.item import Item, Next, Request, Requests, Wait, cannot_go_on, next_of
from pybots.verdicts.sequential import NONE, Counts
from pybots.verdicts.verdict import CLAIMS, Cause, Verdict
from pybots.verdicts.wanted import MOST_TESTS_ALONE


def clusters(differences: Sequence[Difference]) -> list[list[Difference]]:
    """Return items by kind and signature, each cluster's representative first: the one whose past was the steadiest.

    A run as a whole is a cluster of its own.
    """
    found: dict[tuple[Kind, str, bool], list[Difference]] = {}
    for difference in sorted(differences, key=_steadiest_first):
        whole = difference.item == WHOLE_RUN
        found.setdefault((difference.kind, difference.signature, whole), []).append(difference)
    return list(found.values())


def next_of_cluster(items: Sequence[Item], decided: Mapping[str, Verdict]) -> dict[str, Next]:
    """Return what is next for each item of one cluster, its representative first; *decided* is what was said before."""
    representative, *members = items
    step = decided.get(representative.name) or next_of(representative)
    wide = len(members) > min(MOST_TESTS_ALONE, representative.comparison.suite_tests // 2)
    found: dict[str, Next] = {representative.name: step}
    for member in members:
        found[member.name] = decided.get(member.name) or _member(member, representative, step, wide=wide)
    return found


def _member(member: Item, representative: Item, step: Next, *, wide: bool) -> Next:
    if not isinstance(step, Verdict):
        return Wait() if isinstance(step, Wait) else Requests(())
    checks = _checks(representative, step, wide=wide)
    if checks is None or cannot_go_on(member):
        return next_of(member)
    if any(_contrary(member, request, differs=differs) for request, differs in checks):
        return next_of(member)
    unread = [request for request, _ in checks if not _read(member, request).runs]
    if unread:
        return Requests(tuple(unread))
    return replace(
        step,
        item=member.name,
        kind=member.difference.kind,
        evidence=member.gathered.keys(member.name),
        representative=representative.name,
    )


def _checks(representative: Item, verdict: Verdict, *, wide: bool) -> list[tuple[Request, bool]] | None:
    """Return which trials a member follows by, and whether it must differ in each; None: it goes its own way.

    Where they are most of the suite (*wide*), the whole of it is run.
    """
    tried_alone = bool(representative.readings(alone=True)) and not verdict.only_together
    alone = tried_alone and not wide
    if verdict.cause in CLAIMS:
        bad, good = _pair(
            representative.readings(alone=tried_alone), verdict.axes, representative.comparison.moved
        )
        return [(Request(bad, alone), True), (Request(good, alone), False)]
    if verdict.cause is Cause.WORKER:
        return [(Request(SUBJECT, alone, elsewhere=True), False)]
    everything = frozenset(representative.comparison.moved)
    counts = representative.readings(alone=tried_alone).get(everything, NONE)
    if verdict.cause is Cause.UNDECIDED and everything and counts.bad and counts.bad == counts.runs:
        return [(Request(everything, alone), True)]
    return None


def _pair(readings: Mapping[Back, Counts], axes: Sequence[Axis], moved: frozenset[Axis]) -> tuple[Back, Back]:
    """Return what the representative differs and agrees at: the pair of one axis apart that was tried most."""

    def read(back: Back) -> Counts:
        return readings.get(back, NONE)

    pairs = [
        (min(read(bad).bad, read(good).runs - read(good).bad), bad, good)
        for bad in readings
        for axis in ORDER
        if axis in moved - bad and (good := bad | {axis}) in readings
    ]
    if not pairs:
        return SUBJECT, frozenset(axes[:1])
    _, bad, good = max(pairs, key=lambda pair: (pair[0], -len(pair[1]), sorted(pair[1]), sorted(pair[2])))
    return bad, good


def _read(member: Item, request: Request) -> Counts:
    if request.elsewhere:
        return member.gathered.elsewhere(member.name)
    return member.readings(alone=request.alone).get(request.back, NONE)


def _contrary(member: Item, request: Request, *, differs: bool) -> bool:
    """Say whether a trial spoke against its following, or none can be had."""
    counts = _read(member, request)
    if not counts.runs and request.elsewhere:
        return member.gathered.nowhere_else(member.name)
    if not counts.runs:
        return request.back in member.gathered.holes(member.name, alone=request.alone)
    return (counts.bad < counts.runs) if differs else bool(counts.bad)


def _steadiest_first(difference: Difference) -> tuple[float, str]:
    return -round(suspicion(difference, with_later=False), 6), difference.item
