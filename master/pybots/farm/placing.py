"""Tells Buildbot which worker may start which request; what it knows it remembers, and asks no database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pybots.config.model import FarmConfiguration
from pybots.config.slots import slots
from pybots.fleet.placement import ANYWHERE, KEPT_FOR, Kept, Placement, answer
from pybots.runs.records import WantedRun

MOST_KNOWN = 20_000


@dataclass(slots=True)
class Placements:
    """What is remembered for a master's life: where requests may run that may not run anywhere, what is kept idle."""

    known: dict[int, Placement] = field(default_factory=dict)
    """By Buildbot's number of the request."""
    kept: dict[str, Kept] = field(default_factory=dict)
    """By machine."""
    held: bool = False
    """True where a free worker was refused something for what its machine does, or is kept for."""

    def forget(self, request: int) -> None:
        """The request waits no more."""
        self.known.pop(request, None)
        for machine, kept in list(self.kept.items()):
            if kept.request == request:
                del self.kept[machine]


def placement_properties(run: WantedRun) -> dict[str, Any]:
    """Return the properties that tell a request's placement; none for what may run anywhere."""
    told = {"on_worker": run.on_worker, "not_on": list(run.not_on), "machine_idle": run.machine_idle}
    return {name: value for name, value in told.items() if value}


def placement_of(properties: Any) -> Placement:
    """Read the placement from the *properties* of a request or a build."""
    return Placement(
        str(properties.getProperty("on_worker", "")),
        frozenset(properties.getProperty("not_on", ())),
        bool(properties.getProperty("machine_idle", False)),
    )


class MayStart:
    """Buildbot's `canStartBuild` for a builder. *fit* says besides whether a worker may take its requests at all."""

    def __init__(
        self,
        placements: Placements,
        configuration: FarmConfiguration,
        clock: Callable[[], datetime],
        fit: Callable[[Any, Any, Any], bool] = lambda *_: True,
    ) -> None:
        self.placements = placements
        self.clock = clock
        self.fit = fit
        self.machine_of = {name: worker.name for worker in configuration.worker for name in slots(worker)}
        self.workers_of = {worker.name: slots(worker) for worker in configuration.worker}

    def __call__(self, builder: Any, workerforbuilder: Any, request: Any) -> bool:
        """Say whether the worker may start the request now."""
        worker = workerforbuilder.worker
        if not self.fit(builder, workerforbuilder, request):
            return False
        placement = placement_of(request.properties)
        self._remember(request.id, placement)
        name = str(worker.workername)
        machine = self.machine_of.get(name, name)
        beside = [other for other in self.workers_of.get(machine, ()) if other != name]
        now = self.clock()
        said = answer(
            placement,
            request.id,
            name,
            beside=beside,
            under_way=under_way(builder.botmaster.builders.values()) if beside else {},
            kept=self.placements.kept.get(machine),
            now=now,
        )
        self.placements.held |= not said.takes and placement.allows(name)
        if said.keep:
            self.placements.kept[machine] = Kept(request.id, now + KEPT_FOR)
        if said.takes:
            self.placements.forget(request.id)
        return said.takes

    def rules_out(self, request: int, workers: Collection[str]) -> bool:
        """Say whether none of the free *workers* may take the request, as far as is remembered of it."""
        known = self.placements.known.get(request)
        return known is not None and not any(known.allows(worker) for worker in workers)

    def _remember(self, request: int, placement: Placement) -> None:
        known = self.placements.known
        if placement != ANYWHERE:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[request] = placement


def under_way(builders: Iterable[Any]) -> dict[str, bool]:
    """Return which workers are at work, and whether what each does wants its machine for itself."""
    return {
        str(build.workerforbuilder.worker.workername): placement_of(build).machine_idle
        for builder in builders
        for build in builder.building
        if build.workerforbuilder is not None and build.workerforbuilder.worker is not None
    }
