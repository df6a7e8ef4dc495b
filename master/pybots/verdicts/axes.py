"""Decides which axes can be at fault, and what each way of being at fault says of every trial that puts axes back.

A way of being at fault is named by what suffices to break the item: {{interpreter}} is the interpreter alone,
{{interpreter, project}} both together, {{interpreter}, {project}} each of them alone. All others follow: an item
that breaks with some axes forward breaks with more of them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations

from pybots.verdicts.evidence import Axis, Back

Sufficient = frozenset[Axis]
Fault = frozenset[Sufficient]
"""No member of it is part of another."""

ORDER = (Axis.INTERPRETER, Axis.DEPENDENCY, Axis.PROJECT)

_OF_AXIS = {Axis.INTERPRETER: 1.0, Axis.DEPENDENCY: 1.0, Axis.PROJECT: 2.0}
"""Of ten breaks, a project's own are the most."""
_OF_EACH_FURTHER_AXIS = 0.02
"""It takes two changes in one step, or one that shows only with the other."""


@lru_cache(maxsize=64)
def faults(moved: frozenset[Axis]) -> tuple[tuple[Fault, float], ...]:
    """Return every way in which *moved* axes can be at fault, with its prior weight beside `sequential.CHANGE`."""
    axes = [axis for axis in ORDER if axis in moved]
    parts = [frozenset(part) for size in range(1, len(axes) + 1) for part in combinations(axes, size)]
    found = [
        frozenset(chosen)
        for size in range(1, len(parts) + 1)
        for chosen in combinations(parts, size)
        if not any(one < other for one in chosen for other in chosen)
    ]
    return tuple((fault, _prior(fault)) for fault in found)


@lru_cache(maxsize=4096)
def breaks(fault: Fault, back: Back) -> bool:
    """Say whether an item with this *fault* is broken where the axes in *back* are put back."""
    return any(not (sufficient & back) for sufficient in fault)


@lru_cache(maxsize=64)
def vertices(moved: frozenset[Axis]) -> tuple[Back, ...]:
    """Return everything that can be put back, the least first."""
    axes = [axis for axis in ORDER if axis in moved]
    return tuple(frozenset(part) for size in range(len(axes) + 1) for part in combinations(axes, size))


@lru_cache(maxsize=4096)
def edges(fault: Fault, moved: frozenset[Axis]) -> tuple[tuple[Back, Back], ...]:
    """Return the pairs that differ on one axis, of which the first is broken and the second is not; nearest first."""
    return tuple(
        (back, back | {axis})
        for back in vertices(moved)
        for axis in ORDER
        if axis in moved - back and breaks(fault, back) and not breaks(fault, back | {axis})
    )


def involved(fault: Fault) -> tuple[Axis, ...]:
    """Return the axes that matter, in the order in which they are named."""
    return tuple(axis for axis in ORDER if any(axis in sufficient for sufficient in fault))


def in_words(fault: Fault) -> str:
    """Return how several axes matter, or an empty text of one axis alone."""
    if len(involved(fault)) == 1:
        return ""
    if len(fault) == 1:
        return "only together"
    return "each of them alone" if all(len(part) == 1 for part in fault) else "in several combinations"


def names(axes: Iterable[Axis]) -> str:
    """Return axes as people read them."""
    words = {
        Axis.INTERPRETER: "the interpreter",
        Axis.DEPENDENCY: "a dependency",
        Axis.PROJECT: "the project",
    }
    return " and ".join(words[axis] for axis in axes)


def _prior(fault: Fault) -> float:
    concerned = involved(fault)
    further = _OF_EACH_FURTHER_AXIS ** (len(concerned) - 1)
    mixed = 1.0 if in_words(fault) != "in several combinations" else _OF_EACH_FURTHER_AXIS
    return max(_OF_AXIS[axis] for axis in concerned) * further * mixed
