"""Decides which worker may take which request: a trial's own one, others than some, one on a machine that is idle."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

KEPT_FOR = timedelta(minutes=15)
"""How long a machine takes nothing new for the sake of a request that needs it idle; each look at it begins anew."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a request may run."""

    on_worker: str = ""
    """On this worker alone; empty: on any."""
    not_on: frozenset[str] = frozenset()
    machine_idle: bool = False
    """Nothing else may run on that machine meanwhile."""

    def allows(self, worker: str) -> bool:
        """Say whether *worker* may take it, once its machine can."""
        return self.on_worker in {"", worker} and worker not in self.not_on


ANYWHERE = Placement()


@dataclass(frozen=True, slots=True)
class Kept:
    """A machine that is kept idle for a request (by its number), until when."""

    request: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a worker may take a request now, and whether its machine is to be kept idle for it."""

    takes: bool
    keep: bool = False


NO, YES = Answer(takes=False), Answer(takes=True)


def answer(
    placement: Placement,
    request: int,
    worker: str,
    *,
    beside: Collection[str],
    under_way: Mapping[str, bool],
    kept: Kept | None,
    now: datetime,
) -> Answer:
    """Say whether *worker*, which is free, may take the *request* now.

    *beside* are the other workers of its machine; *under_way* says by worker whether what it does wants its machine
    for itself; *kept* is for which request the machine is kept, if for any.
    """
    if not placement.allows(worker):
        return NO
    if any(under_way.get(other, False) for other in beside):
        return NO
    if kept is not None and kept.request != request and now < kept.until:
        return NO
    if placement.machine_idle and any(other in under_way for other in beside):
        # For what may run on any machine none is kept idle: it would be all of them.
        return Answer(takes=False, keep=bool(placement.on_worker))
    return YES
