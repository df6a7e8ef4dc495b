"""Decides which of the commits that a poll found are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pybots.commits.classify import Touches


class Selection(StrEnum):
    """What happens to a commit on a branch."""

    BUILD = "build"
    INHERIT = "inherit"
    """Documentation only: its first parent's results are its own, whatever they are."""
    NOT_BUILT = "not-built"
    """Superseded by a newer commit while there was no capacity; built when somebody asks."""


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit that the last poll found, and what it touches."""

    sha: str
    touches: Touches


def select(
    new: Sequence[NewCommit], *, waiting: int, newest_only_beyond: int, heads_only: bool = False
) -> list[tuple[str, Selection]]:
    """Return what happens to each of *new*, oldest first, in the same order.

    *waiting* is how many commits of the branch wait to be built already. While they and the new ones that
    are not documentation only are at most *newest_only_beyond*, all of those are built; beyond it, the
    newest alone. With *heads_only* it is the last of *new* alone, unless all of them are documentation only.
    """
    buildable = [commit.sha for commit in new if commit.touches is not Touches.DOCUMENTATION]
    everything = max(waiting, 0) + len(buildable) <= newest_only_beyond
    chosen = set(buildable if everything else buildable[-1:])
    if heads_only:
        # The head itself, also where it is documentation after something that is not built: it has nobody's results.
        chosen = {new[-1].sha} if buildable else set()
    return [(commit.sha, _selection(commit, chosen)) for commit in new]


def superseded_before(new: Sequence[NewCommit], *, waiting: int, newest_only_beyond: int) -> str | None:
    """Return the commit that takes the place of all that wait before it, None while there is capacity.

    Commits that arrive one by one would otherwise pile up, each of them the newest when it came.
    """
    buildable = [commit.sha for commit in new if commit.touches is not Touches.DOCUMENTATION]
    if not buildable or max(waiting, 0) + len(buildable) <= newest_only_beyond:
        return None
    return buildable[-1]


def _selection(commit: NewCommit, chosen: set[str]) -> Selection:
    if commit.sha in chosen:
        return Selection.BUILD
    return Selection.INHERIT if commit.touches is Touches.DOCUMENTATION else Selection.NOT_BUILT
