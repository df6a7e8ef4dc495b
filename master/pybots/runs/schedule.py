"""Decides which projects run on an interpreter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pybots.interpreters.plan import TrackName
from pybots.registry.recipe import Recipe


def runs_on(recipe: Recipe, track: TrackName) -> bool:
    """Say whether *recipe* asks for *track*; an empty list in it means every one."""
    asked = recipe.tracks
    return (
        (not asked.branches or track.branch in asked.branches)
        and (not asked.variants or track.variant in asked.variants)
        and (not asked.platforms or track.platform in asked.platforms)
    )


def longest_first(projects: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """Return *projects* in the order in which they are asked for, by what a run of each took before.

    Of runs that are handed out one by one, the longest go first, so that none of them is left over when every other
    worker has ended: the last result is then at most a short run later than it must be. What never ran may be long.
    """
    return sorted(projects, key=lambda name: (-seconds.get(name, float("inf")), name))


def run_key(project: str, interpreter_key: str, serial: int) -> str:
    """Return the unique, address-safe key of the *serial*-th subject run of *project* on an interpreter."""
    return f"{project}~{interpreter_key}~{serial}"


def virtual_builder(project: str, track: TrackName) -> str:
    """Return the name under which Buildbot's own pages show a project on a track."""
    return f"{project} · {track}"
