"""Decides what is said of a commit: how it was classified, and what was built of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybots.site.facts import Commit, Interpreter
from pybots.site.words import Mark, of_interpreter

_SELECTIONS = {
    "build": ("to be built", "It will be built; no track has asked for it yet."),
    "inherit": ("inherits", "Nothing that reaches an interpreter changed: its parent's results hold for it."),
    "not-built": (
        "not built",
        "A newer commit came while there was no capacity; it is built when somebody asks.",
    ),
}


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a commit on one or more tracks that say the same."""

    mark: Mark
    text: str
    title: str
    interpreters: tuple[Interpreter, ...]


def built(commit: Commit) -> tuple[Built, ...]:
    """Return what was built of *commit*: one entry for each different answer; never empty."""
    if not commit.interpreters:
        text, title = selection(commit.selection)
        return (Built(Mark.NONE, text, title, ()),)
    groups: dict[tuple[Mark, str, str], list[Interpreter]] = {}
    for made in commit.interpreters:
        groups.setdefault(_said(made), []).append(made)
    return tuple(Built(mark, text, title, tuple(made)) for (mark, text, title), made in groups.items())


def _said(made: Interpreter) -> tuple[Mark, str, str]:
    word = of_interpreter(made.state, made.status)
    if made.state == "finished" and made.status == "proven":
        return word.mark, "built", word.meaning
    if made.state == "finished" and made.status == "inherited":
        return word.mark, f"inherited from {made.inherited_commit[:10] or 'its parent'}", word.meaning
    if made.state == "finished" and made.status == "worker-unfit":
        return word.mark, made.detail or word.label, word.meaning
    if made.state == "running":
        return word.mark, "being built", word.meaning
    return word.mark, word.label, word.meaning


def selection(value: str) -> tuple[str, str]:
    """Return why a commit without an interpreter has none: a few words and a sentence."""
    known = _SELECTIONS.get(value)
    if known:
        return known
    return value.replace("-", " ") or "unknown", "This page does not know why."


def variants(interpreters: Sequence[Interpreter]) -> str:
    """Return on which tracks, in a few words: the variants, with platforms where there are several."""
    platforms = {made.track.platform for made in interpreters}
    if len(platforms) == 1:
        return ", ".join(made.track.variant for made in interpreters)
    return ", ".join(f"{made.track.variant} on {made.track.platform}" for made in interpreters)
