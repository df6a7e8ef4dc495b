"""Decides what holds at a head besides its commit: revisions, where dependencies come from, what a worker suffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pybots.commands.replay.file import Fault, ReplayEvent
from pybots.registry.recipe import Recipe, SourceSection


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds at one head."""

    revisions: Mapping[str, str] = field(default_factory=dict)
    """By project; one that is not in it has its recipe's own."""
    packages: str | None = None
    """The folder of distributions as the file gives it; None for each worker's own package index."""
    fault: Fault | None = None


def settings(events: Sequence[ReplayEvent], heads: int) -> list[Setting]:
    """Return what holds at each of *heads* heads: revisions and packages last, a fault is over with its head."""
    found: list[Setting] = []
    revisions: dict[str, str] = {}
    packages: str | None = None
    for head in range(heads):
        here = [event for event in events if event.at_head == head]
        revisions |= {event.project: event.revision for event in here if event.revision is not None}
        packages = next((event.packages for event in here if event.packages is not None), packages)
        fault = next((event.worker_fault for event in here if event.worker_fault is not None), None)
        found.append(Setting(dict(revisions), packages, fault))
    return found


def at_revision(recipe: Recipe, revision: str | None, folder: str) -> Recipe:
    """Return *recipe* with its source at *revision*; *folder* is the absolute path of its folder, where it has one."""
    source = recipe.source
    if source.path:
        changed = SourceSection(path=folder)
    elif revision is None:
        return recipe
    elif source.pypi:
        changed = SourceSection(pypi=source.pypi, version=revision)
    else:
        changed = SourceSection(git=source.git, ref=revision)
    return recipe.model_copy(update={"source": changed})
