"""Measures several things in turn, so that a machine whose speed drifts is as fast for one as for the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def in_turn(measures: Mapping[str, Callable[[], float]], times: int) -> dict[str, tuple[float, ...]]:
    """Call each of *measures* once a round, in *times* rounds, every other one backwards; return their answers."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for count in range(times):
        names = list(measures)
        for name in reversed(names) if count % 2 else names:
            values[name].append(measures[name]())
    return {name: tuple(found) for name, found in values.items()}


def seconds(work: Callable[[], object]) -> float:
    """Return how long *work* takes by the wall's clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
