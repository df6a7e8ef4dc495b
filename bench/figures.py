"""Decides what measurements come to: medians, spreads, ratios pair by pair, and whether an aim is met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Samples:
    """Repeated measurements of one thing, in the order in which they were made."""

    what: str
    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            msg = f"nothing was measured of {self.what!r}"
            raise ValueError(msg)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def facts(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "what": self.what,
            "unit": self.unit,
            "values": list(self.values),
            "median": self.median,
            "minimum": min(self.values),
            "maximum": max(self.values),
        }


@dataclass(frozen=True, slots=True)
class Aim:
    """What the ratio of ours to the peer's should be: at least `value`, or at most."""

    value: float
    at_least: bool

    def met_by(self, ratio: float) -> bool:
        """Say whether *ratio* is good enough."""
        return ratio >= self.value if self.at_least else ratio <= self.value

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.value:g}"


def at_least(value: float) -> Aim:
    """Ours is to be so many times the peer's, or more: a rate."""
    return Aim(value, at_least=True)


def at_most(value: float) -> Aim:
    """Ours is to be so many times the peer's, or less: a time, or a size."""
    return Aim(value, at_least=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside the peer's, measured in turn in the same run, in the same unit."""

    name: str
    ours: Samples
    peer: Samples
    aim: Aim | None = None

    @property
    def ratio(self) -> Samples:
        """Ours divided by the peer's: pair by pair where both were measured as often, else median by median.

        In a pair both met the same machine, whose speed drifts.
        """
        pairs: Sequence[tuple[float, float]] = list(zip(self.ours.values, self.peer.values, strict=False))
        if len(self.ours.values) != len(self.peer.values):
            pairs = [(self.ours.median, self.peer.median)]
        return Samples("ratio", "", tuple(ours / peer if peer else float("inf") for ours, peer in pairs))

    @property
    def met(self) -> bool:
        """Say whether the median ratio meets the aim; True without one."""
        return self.aim is None or self.aim.met_by(self.ratio.median)

    def facts(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "name": self.name,
            "ours": self.ours.facts(),
            "peer": self.peer.facts(),
            "ratio": self.ratio.facts(),
            "aim": str(self.aim) if self.aim else None,
            "met": self.met if self.aim else None,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a bench found: comparisons, single figures that have no peer, and what to know when reading them."""

    comparisons: tuple[Comparison, ...]
    figures: tuple[Samples, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Say whether every aim is met."""
        return all(comparison.met for comparison in self.comparisons)

    def facts(self) -> dict[str, Any]:
        """Return what goes into the JSON file."""
        return {
            "comparisons": [comparison.facts() for comparison in self.comparisons],
            "figures": [samples.facts() for samples in self.figures],
            "notes": list(self.notes),
            "met": self.met,
        }
