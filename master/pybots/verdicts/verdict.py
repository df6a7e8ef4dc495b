"""What a comparison says of an item: whose it is, on what evidence, with which chance of being wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pybots.verdicts.evidence import Axis, Kind, WantedTrial


class Cause(StrEnum):
    """Whose a difference is."""

    INTERPRETER = "interpreter"
    PROJECT = "project"
    DEPENDENCY = "dependency"
    WORKER = "worker"
    FLAKY = "flaky"
    UNDECIDED = "undecided"


CLAIMS = frozenset({Cause.INTERPRETER, Cause.PROJECT, Cause.DEPENDENCY})
"""Causes that say of something that it broke: each is an incident. The others are kept, and nobody hears of them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one item, with the trials that it rests on."""

    item: str
    kind: Kind
    cause: Cause
    reason: str
    """One sentence for people: what was compared, and what was seen."""
    axes: tuple[Axis, ...] = ()
    """What makes the difference; more than one where several matter, together or each alone (`reason` says which)."""
    chance: float = 1.0
    """The probability, under the farm's model, that what was seen is chance; of a claim at most its budget's share."""
    rate: float | None = None
    """Of `flaky`: how often it fails."""
    only_together: bool = False
    """True where the test fails only when it runs with others."""
    evidence: tuple[str, ...] = ()
    """Keys of the trials."""
    representative: str | None = None
    """The item of the same cluster on which most of the evidence lies; None for that one itself."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What a comparison has come to: what is decided, and what is wanted next.

    With neither, it waits for what is under way.
    """

    verdicts: tuple[Verdict, ...] = ()
    """Final ones: of an item that has one, nothing more is asked."""
    wants: tuple[WantedTrial, ...] = ()
    waits_for_later: bool = False
    """True where the next subject run will decide, or a deadline (`more_expected` becomes False)."""
