"""Decides what the first page says at its top: how things stand, how old that is, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pybots.site.facts import Commit, Farm, Overview, Project
from pybots.site.grid import Box, Grid
from pybots.site.times import ago, span
from pybots.site.words import Mark, in_passing, of_interpreter

SILENT_SECONDS = 60
"""A master that was not heard of for longer is silent."""


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that people should know of before they read on."""

    mark: Mark
    title: str
    text: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand."""

    sentence: str
    mark: Mark
    remarks: tuple[str, ...]
    banners: tuple[Banner, ...]


def master_state(farm: Farm, now: datetime) -> str:
    """Return `alive`, `silent`, or `unknown` where no master was ever heard of."""
    if farm.master_at is None:
        return "unknown"
    return "silent" if (now - farm.master_at).total_seconds() > SILENT_SECONDS else "alive"


def master_banner(farm: Farm, now: datetime) -> Banner | None:
    """Return what to say of a master that is silent; None while it is heard of."""
    state = master_state(farm, now)
    if state == "alive":
        return None
    if farm.master_at is None:
        title = "The master has not been heard of yet"
        return Banner(Mark.ACT, title, "Nothing is scheduled until it is started.")
    silence = span((now - farm.master_at).total_seconds())
    return Banner(
        Mark.ACT,
        f"The master has been silent for {silence}",
        "What follows is as it stood then; nothing new is being scheduled.",
        farm.master_at,
    )


def banners(farm: Farm, projects: Sequence[Project], now: datetime) -> tuple[Banner, ...]:
    """Return everything that people should know of before they read on, the gravest first."""
    found = [banner for banner in [master_banner(farm, now)] if banner]
    found += [Banner(Mark.ACT, readable(at.name), at.text, at.since) for at in farm.conditions]
    named = {condition.name for condition in farm.conditions}
    found += [
        Banner(Mark.ACT, f"Branch {branch.name} cannot be polled", branch.problem, branch.polled_at)
        for branch in farm.branches
        if branch.problem and not any(branch.name in name for name in named)
    ]
    aside = [project for project in projects if project.problem]
    if aside:
        found.append(_set_aside(aside))
    return tuple(found)


def _set_aside(projects: Sequence[Project]) -> Banner:
    names = ", ".join(project.name for project in projects[:10])
    more = f" and {len(projects) - 10} more" if len(projects) > 10 else ""
    title = "A recipe is set aside" if len(projects) == 1 else f"{len(projects)} recipes are set aside"
    return Banner(
        Mark.ACT,
        title,
        f"Not run until mended: {names}{more}. File, line and reason are further down this page.",
    )


def readable(name: str) -> str:
    """Return a condition's name as a title: `branch:main` -> `Branch main`."""
    text = name.replace("-", " ").replace("_", " ").replace(":", " ").strip()
    return text[:1].upper() + text[1:]


def standing(overview: Overview, grid: Grid, now: datetime) -> Standing:
    """Return what the first page says at its top."""
    sentence, mark = _sentence(overview, grid)
    return Standing(
        sentence=sentence,
        mark=mark,
        remarks=tuple(_remarks(overview, grid, now)),
        banners=banners(overview.farm, overview.projects, now),
    )


def _sentence(overview: Overview, grid: Grid) -> tuple[str, Mark]:
    finished = [box for box in grid.boxes if box.run and box.run.state == "finished"]
    if not finished:
        return _nothing_finished(overview), Mark.WAITING
    passed = sum(box.word.mark is Mark.GOOD for box in finished)
    others = Counter(_in_passing(box) for box in finished if box.word.mark is not Mark.GOOD)
    if not others:
        return (f"All {passed} newest runs passed." if passed > 1 else "The newest run passed."), Mark.GOOD
    rest = _listed(_most_common(others))
    worst = Mark.LOOK if any(box.word.mark in {Mark.LOOK, Mark.STOPPED} for box in finished) else Mark.FARM
    if len(finished) == 1:
        return f"The newest run did not pass: it {rest.removeprefix('1 ')}.", worst
    return f"{passed or 'None'} of the {len(finished)} newest runs passed; {rest}.", worst


def _most_common(others: Counter[str], most: int = 3) -> list[str]:
    """Return the commonest few as `2 timed out`, the rest in one."""
    named = [f"{count} {said}" for said, count in others.most_common(most)]
    left = others.total() - sum(count for _, count in others.most_common(most))
    return [*named, f"{left} did not pass for other reasons"] if left else named


def _in_passing(box: Box) -> str:
    assert box.run
    return in_passing(box.run.status, box.word.label)


def _nothing_finished(overview: Overview) -> str:
    if not overview.projects:
        return "The farm has started; no project is registered yet."
    if overview.farm.waiting.interpreters:
        return "The first interpreters are being built; no run has finished yet."
    return "No run has finished yet."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def newest_result(grid: Grid) -> datetime | None:
    """Return when the newest run in the grid finished; None where none did."""
    times = [box.run.finished_at for box in grid.boxes if box.run and box.run.finished_at]
    return max(times, default=None)


def _remarks(overview: Overview, grid: Grid, now: datetime) -> list[str]:
    farm = overview.farm
    newest = newest_result(grid)
    remarks = [f"The newest result came {ago(newest, now)}."] if newest else []
    remarks += _trunk_remarks(overview.commits)
    remarks.append(_under_way(farm))
    if farm.workers:
        remarks.append(f"{farm.workers_connected} of {farm.workers} workers connected.")
    return remarks


_NOT_OF_THE_COMMIT = ("inherited", "worker-unfit")


def _trunk_remarks(commits: Sequence[Commit]) -> list[str]:
    """Return a sentence for each branch whose newest finished interpreter needs somebody to act."""
    remarks: list[str] = []
    seen: set[str] = set()
    for commit in commits:
        for made in commit.interpreters:
            if made.track.name in seen or made.state != "finished" or made.status in _NOT_OF_THE_COMMIT:
                continue
            seen.add(made.track.name)
            word = of_interpreter(made.state, made.status)
            if word.mark is Mark.ACT:
                remarks.append(f"The newest interpreter on {made.track.name}: {word.label}.")
    return remarks


def _under_way(farm: Farm) -> str:
    waiting = farm.waiting
    runs = waiting.runs + waiting.runs_running
    interpreters = waiting.interpreters + waiting.interpreters_running
    if not runs and not interpreters:
        return "Nothing is waiting."
    parts = [
        f"{count} {name if count == 1 else name + 's'}"
        for count, name in ((interpreters, "interpreter"), (runs, "run"))
        if count
    ]
    return f"{_listed(parts)} waiting or running."
