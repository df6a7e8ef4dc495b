"""Decides whether the next build of a tree can be made on top of the last one, or has to begin from nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_CONFIGURE_READS = re.compile(
    r"(^|/)(configure|configure\.ac|aclocal\.m4|config\.guess|config\.sub|install-sh|[^/]+\.in)$"
    r"|^Modules/(Setup[^/]*|makesetup)$"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an interpreter is made from."""

    commit: str
    configure: tuple[str, ...]
    compiler: str
    """The compiler's version and the operator's flags, in one line."""


@dataclass(frozen=True, slots=True)
class Built:
    """The last good build in a tree: what it was made from, and when it ended, in seconds since the epoch."""

    wanted: Wanted
    saved: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tree shows around a check-out; all dates in seconds since the epoch."""

    changed: tuple[str, ...] | None
    """The paths that differ from the commit of the last build; None if unknown."""
    before: float
    after: float
    youngest: float
    """The newest date of any file in the tree, after the check-out."""


class Plan(Enum):
    """How much of the last build is used."""

    IN_PLACE = "in-place"
    CLEAN = "clean"


def plan_build(last: Built | None, wanted: Wanted, seen: Seen) -> Plan:
    """Decide; in place only where make can tell from dates alone what has to be made anew.

    Where configure has to run again it cannot: flags may change, and objects do not depend on the Makefile. Nor can
    it where the clock was set back: then an object is younger than the source that was checked out after it.
    """
    if last is None or seen.changed is None:
        return Plan.CLEAN
    if (last.wanted.configure, last.wanted.compiler) != (wanted.configure, wanted.compiler):
        return Plan.CLEAN
    if any(map(_CONFIGURE_READS.search, seen.changed)) or not _dates_can_be_trusted(last, seen):
        return Plan.CLEAN
    return Plan.IN_PLACE


def _dates_can_be_trusted(last: Built, seen: Seen) -> bool:
    return last.saved <= seen.before <= seen.after and seen.youngest <= seen.after
