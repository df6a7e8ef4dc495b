"""Decides, from everything that is known of a comparison, what is said of each item and what is tried next."""

from __future__ import annotations

from collections.abc import Sequence

from pybots.verdicts import say
from pybots.verdicts.clusters import clusters, next_of_cluster
from pybots.verdicts.evidence import SUBJECT, WHOLE_RUN, Comparison, Trial, WantedTrial
from pybots.verdicts.gathered import Gathered
from pybots.verdicts.item import Item, Next, Request, Requests, Wait
from pybots.verdicts.verdict import Cause, Examination, Verdict
from pybots.verdicts.wanted import wanted

RUNS_OF_THE_UNJUDGED = 3
"""A run that could not be judged is run again so often, on other workers where there are some."""


def examine(
    comparison: Comparison,
    trials: Sequence[Trial],
    under_way: Sequence[WantedTrial],
    alpha: float,
    decided: Sequence[Verdict] = (),
) -> Examination:
    """Return the verdicts that can be given now, and the trials that are wanted next.

    - *comparison.differences*: all of the comparison's items, also those in *decided*: the verdicts given before, which
      stand and are not given again.
    - *trials*: every finished trial that this comparison ever asked for, in any order, unjudged ones included.
      `Trial.shows` names every item that the trial was asked for, with UNKNOWN where it says nothing of it.
    - *under_way*: every one that was asked for and has not finished; while there is one, nothing new is said or asked.
    - *alpha*: the probability of being wrong that one claim may have (`budget.share`).

    Serials go on from the number of trials asked so far. The same arguments, in whatever order, give the same answer.
    Every comparison comes to an end after a bounded number of trials. An examination without wants, with nothing under
    way and without `waits_for_later`, has a verdict for each item that had none.
    """
    if under_way:
        return Examination()
    if not comparison.judged:
        return _unjudged(comparison, trials, decided)
    gathered = Gathered(comparison, trials)
    said = {verdict.item: verdict for verdict in decided}
    steps: dict[str, Next] = {}
    for cluster in clusters(comparison.differences):
        items = [Item(comparison, difference, gathered, alpha) for difference in cluster]
        steps |= next_of_cluster(items, said)
    requests = {item: step.trials for item, step in steps.items() if isinstance(step, Requests)}
    return Examination(
        tuple(step for item, step in steps.items() if isinstance(step, Verdict) and item not in said),
        wanted(comparison, gathered.home or "", requests, len(trials)),
        waits_for_later=any(isinstance(step, Wait) for step in steps.values()),
    )


def _unjudged(comparison: Comparison, trials: Sequence[Trial], decided: Sequence[Verdict]) -> Examination:
    """A run that says nothing is run again elsewhere; whatever comes of it, it was no regression."""
    judged = [trial for trial in trials if trial.judged]
    if not judged and len(trials) < RUNS_OF_THE_UNJUDGED:
        return Examination(wants=(_again(comparison, len(trials)),))
    said = {verdict.item for verdict in decided}
    cause, reason = (Cause.WORKER, say.UNJUDGED) if judged else (Cause.UNDECIDED, say.UNJUDGED_ELSEWHERE)
    keys = tuple(sorted(trial.key for trial in trials))
    return Examination(
        tuple(
            Verdict(difference.item, difference.kind, cause, reason, evidence=keys)
            for difference in comparison.differences
            if difference.item not in said
        )
    )


def _again(comparison: Comparison, serial: int) -> WantedTrial:
    items = tuple(difference.item for difference in comparison.differences) or (WHOLE_RUN,)
    not_on = (comparison.worker,) if comparison.others else ()
    request = Request(SUBJECT, alone=False)
    return WantedTrial(request.back, items, request.alone, serial, not_on=not_on)
