"""Decides whether what a verdict says belongs to an incident that is known, or is a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from pybots.incidents.states import State
from pybots.verdicts.verdict import Cause


@dataclass(frozen=True, slots=True)
class Range:
    """The suspect commits of a branch, by position: those after *last_good*, up to *first_bad*, which is one."""

    last_good: int | None
    """None where nothing is known to have been good: any commit before may be it."""
    first_bad: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """One item of a verdict with a cause, as far as it decides where it belongs."""

    cause: Cause
    fault: str
    """`incidents.fault`."""
    range: Range


@dataclass(frozen=True, slots=True)
class Known:
    """An incident on the same branch, with the same cause and the same fault."""

    id: int
    state: State
    range: Range
    past: tuple[Range, ...] = ()
    """The ranges of the times before, where it was fixed and came back."""
    fixed_at: int | None = None
    """The first position at which an item of its present time was seen to pass again; None before."""


class Belonging(StrEnum):
    """How a sighting belongs to an incident."""

    NOW = "now"
    """To the present time: its range overlaps."""
    BEFORE = "before"
    """To a time that is past: a track that is late shows it."""
    AGAIN = "again"
    """It has come back."""


def belonging(sighting: Sighting, known: Known) -> Belonging | None:
    """Return how *sighting* belongs to *known* (same branch, cause and fault); None where it does not.

    What a person called invalid takes in what overlaps, so that it stays quiet on other tracks too; it does not come
    back.
    """
    if _meets(sighting, known.range):
        return Belonging.NOW
    if any(_meets(sighting, past) for past in known.past):
        return Belonging.BEFORE
    if known.state is not State.INVALID and _after_the_fix(sighting, known):
        return Belonging.AGAIN
    return None


def choose(sighting: Sighting, known: Iterable[Known]) -> tuple[Known, Belonging] | None:
    """Return the incident that *sighting* belongs to, and how; None where it is the first of a new one.

    A range that overlaps goes before one that came back; of several the open one, of several of these the oldest.
    """
    order = list(Belonging)
    found = [(incident, how) for incident in known if (how := belonging(sighting, incident)) is not None]
    closed = {State.INVALID: 1, State.FIXED: 2}
    return min(
        found,
        key=lambda pair: (order.index(pair[1]), closed.get(pair[0].state, 0), pair[0].id),
        default=None,
    )


def narrowed(known: Range, other: Range) -> Range:
    """Return the commits that both ranges hold: what made the difference in both is among them."""
    lows = [low for low in (known.last_good, other.last_good) if low is not None]
    return Range(max(lows, default=None), min(known.first_bad, other.first_bad))


def taken_in(sighting: Sighting, known: Known, how: Belonging) -> Known:
    """Return *known* with the range that it has once *sighting* belongs to it."""
    if how is Belonging.AGAIN:
        return replace(known, range=sighting.range, past=(*known.past, known.range), fixed_at=None)
    # The commits say nothing of where between them a project or a dependency changed: nothing is narrowed then.
    if sighting.cause is not Cause.INTERPRETER:
        return known
    if how is Belonging.NOW:
        return replace(known, range=narrowed(known.range, sighting.range))
    met = next(index for index, past in enumerate(known.past) if _meets(sighting, past))
    past = [narrowed(each, sighting.range) if index == met else each for index, each in enumerate(known.past)]
    return replace(known, past=tuple(past))


def _meets(sighting: Sighting, other: Range) -> bool:
    mine = sighting.range
    low = max((good for good in (mine.last_good, other.last_good) if good is not None), default=None)
    high = min(mine.first_bad, other.first_bad)
    if low is None:
        return True
    # An interpreter's commit lies after the last good one. A project or a dependency may have changed between two
    # runs on the same interpreter.
    return low < high if sighting.cause is Cause.INTERPRETER else low <= high


def _after_the_fix(sighting: Sighting, known: Known) -> bool:
    good = sighting.range.last_good
    return known.fixed_at is not None and good is not None and good >= known.fixed_at
