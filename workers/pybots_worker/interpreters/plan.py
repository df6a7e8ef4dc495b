"""Decides how much of a tree's last build serves for the next commit: all, all but some files, its objects, nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pybots_worker.interpreters.library import Fate, Layout, fate_of

_CONFIGURE_READS = re.compile(
    r"(^|/)(configure|configure\.ac|aclocal\.m4|config\.guess|config\.sub|install-sh|[^/]+\.in)$"
    r"|^Modules/(Setup[^/]*|makesetup)$"
)
_NEVER_READ = re.compile(
    r"^(Doc|InternalDocs|Misc/NEWS\.d|\.github|\.azure-pipelines|\.devcontainer)/"
    r"|^(Misc/(ACKS|HISTORY|NEWS)|README\.rst|\.mailmap|\.pre-commit-config\.yaml|\.readthedocs\.yml)$"
)
"""Neither built from nor installed."""
_LIBRARY = "Lib/"
_FILE_MODES = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an interpreter is made from."""

    commit: str
    configure: tuple[str, ...]
    compiler: str
    """The compiler's version and the operator's flags, in one line."""
    method: str = ""
    """The digest of what decides how it is compiled and installed: our own code."""

    @property
    def made_with(self) -> tuple[tuple[str, ...], str, str]:
        """All but the commit."""
        return self.configure, self.compiler, self.method


@dataclass(frozen=True, slots=True)
class Built:
    """The last good build in a tree: what it was made from, and when it ended, in seconds since the epoch."""

    wanted: Wanted
    saved: float
    artifact: str = ""
    """The digest of what was installed and proven."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A path that differs between two commits; `mode` is git's of the newer one, empty where it has no such file."""

    path: str
    mode: str = _FILE_MODES[0]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tree shows around a check-out; all dates in seconds since the epoch."""

    changed: tuple[Changed, ...] | None
    """What differs from the commit of the last build; None if unknown."""
    before: float
    after: float
    youngest: float
    """The newest date of any file in the tree, after the check-out."""
    layout: Layout | None = None
    """What the Makefile says of Lib/; None where there is none that we understand."""
    installed: str = ""
    """The digest of the installed tree that was kept; empty where there is none."""


class Way(Enum):
    """How an interpreter is made."""

    NOTHING = "nothing"
    """What is installed is what a build would install."""
    REPLACE = "replace"
    """Some files of the library are replaced in what is installed."""
    IN_PLACE = "in-place"
    """make and make install, on top of the objects of the last build."""
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Plan:
    """How, why, and for REPLACE the files, relative to Lib/ and to the installed library alike."""

    way: Way
    reason: str
    files: tuple[Changed, ...] = ()


def plan_build(last: Built | None, wanted: Wanted, seen: Seen) -> Plan:
    """Decide; the result of every way is the same, byte for byte.

    In place only where make can tell from dates alone what has to be made anew. Where configure has to run again it
    cannot: flags may change, and objects do not depend on the Makefile. Nor can it where the clock was set back: then
    an object is younger than the source that was checked out after it.
    """
    if last is None or seen.changed is None:
        return Plan(Way.CLEAN, "there is no build to begin from")
    if last.wanted.made_with != wanted.made_with:
        return Plan(Way.CLEAN, "the last build had another compiler, other options, or another Pybots")
    if not _dates_can_be_trusted(last, seen):
        return Plan(Way.CLEAN, "the clock was set back")
    asked = list(_all_asked(seen.changed, seen.layout))
    for fate in (Fate.CLEAN, Fate.IN_PLACE):
        if reason := next((why for what, _, why in asked if what is fate), ""):
            return Plan(Way(fate.name.lower().replace("_", "-")), reason)
    if not last.artifact or last.artifact != seen.installed:
        return Plan(Way.IN_PLACE, "what is installed is not what was proven last")
    files = tuple(changed for what, changed, _ in asked if what is Fate.INSTALLED)
    if not files:
        return Plan(Way.NOTHING, "nothing changed that is installed")
    return Plan(Way.REPLACE, f"{len(files)} files of the library changed", files)


def _all_asked(changed: tuple[Changed, ...], layout: Layout | None) -> Iterator[tuple[Fate, Changed, str]]:
    """What each changed path asks for, why, and where it is installed."""
    for one in changed:
        fate, why = _asked(one, layout)
        yield fate, Changed(one.path.removeprefix(_LIBRARY), one.mode), f"{one.path}: {why}"


def _asked(changed: Changed, layout: Layout | None) -> tuple[Fate, str]:
    path = changed.path
    if _CONFIGURE_READS.search(path):
        return Fate.CLEAN, "configure reads it"
    if _NEVER_READ.match(path):
        return Fate.LEFT_OUT, ""
    if not path.startswith(_LIBRARY) or layout is None:
        return Fate.IN_PLACE, "it is no file of the library"
    fate, why = fate_of(path.removeprefix(_LIBRARY), layout)
    if fate is Fate.INSTALLED:
        if changed.mode and changed.mode not in _FILE_MODES:
            return Fate.IN_PLACE, "it is no regular file"
        if not changed.mode and path.startswith(f"{_LIBRARY}encodings/"):
            return Fate.IN_PLACE, "what byte-compiles may have used it"
    return fate, why


def _dates_can_be_trusted(last: Built, seen: Seen) -> bool:
    return last.saved <= seen.before <= seen.after and seen.youngest <= seen.after
