"""Decides what a verdict says for people: one sentence of what was compared, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping

from pybots.verdicts.axes import Fault, edges, in_words, involved, names
from pybots.verdicts.evidence import SUBJECT, Axis, Back
from pybots.verdicts.sequential import NONE, Counts


def of_claim(
    fault: Fault, moved: frozenset[Axis], readings: Mapping[Back, Counts], worker: str, *, alone: bool
) -> str:
    """Return the sentence of a claim."""
    bad, good = edges(fault, moved)[0]
    manner = "" if alone else "in the whole suite "
    how = f": {names(involved(fault))}, {in_words(fault)}" if in_words(fault) else ""
    return (
        f"{manner}on {worker} it differs in {_of(readings, bad)} with {_what(bad)},"
        f" and in {_of(readings, good)} with {_what(good)}{how}"
    ).strip()


def of_flaky(rate: float, trials: Counts, later_agrees: bool) -> str:
    """Return the sentence of what comes and goes by itself."""
    seen = f"bad in {trials.bad} of {trials.runs} trials" if trials.runs else "it comes and goes"
    after = ", and as before in the run that followed" if later_agrees else ""
    return f"{seen}{after}; its rate is about {rate:.2g}"


def of_world(trials: Counts, elsewhere: Counts) -> str:
    """Return the sentence of what fails whatever is put back."""
    places = "on another worker too" if elsewhere.runs else "on the only worker there is"
    return (
        f"bad in all of {trials.runs} trials, with everything put back and {places}:"
        " what changed is not among what a run freezes, such as the date or a service"
    )


def of_worker(worker: str, trials: Counts) -> str:
    """Return the sentence of what one worker alone shows."""
    return f"bad in all of {trials.runs} trials on {worker}, whatever is put back, and as before on another worker"


NEW = "it is new, and bad with the baseline's interpreter too: nothing is known to have changed"
NO_WORKER = "no worker could carry out its trials"
TOO_MANY = "it has had as many trials as one item may have"
UNJUDGED = "the run ended for the worker's or the farm's own reasons"
UNJUDGED_ELSEWHERE = (
    "the run ended for the worker's or the farm's own reasons, and could not be carried out again"
)


def _of(readings: Mapping[Back, Counts], back: Back) -> str:
    counts = readings.get(back, NONE)
    return f"{counts.bad} of {counts.runs} trials"


def _what(back: Back) -> str:
    if back == SUBJECT:
        return "all as in the run"
    return f"{names(sorted(back))} put back"
