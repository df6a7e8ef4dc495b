"""Decides how an incident is called, in one line for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybots.results.text import safe_name, shortened
from pybots.verdicts.evidence import Kind
from pybots.verdicts.surfaced import NOWHERE, Place, Surfaced, fails_in

LONGEST = 300
_MESSAGE = 120
_NAMED = 3
TRUNK = "trunk:"
"""Before the status of an interpreter that was not made, in the kind of a trunk's incident."""

_HAPPENS = {
    Kind.FAILED: "fails",
    Kind.ERROR: "fails",
    Kind.UNEXPECTED_PASS: "passes where a failure was expected",
    Kind.SKIPPED: "is skipped",
    Kind.SUITE_SKIPPED: "skips every test",
    Kind.VANISHED: "is not there any more",
    Kind.COLLECTION_FAILED: "cannot be collected",
    Kind.NO_TESTS: "has no tests any more",
    Kind.INSTALL_FAILED: "cannot be installed",
    Kind.ENVIRONMENT_FAILED: "cannot have its dependencies installed",
    Kind.CRASHED: "crashes the interpreter",
    Kind.TIMED_OUT: "hangs",
    Kind.MEMORY_LIMIT: "takes too much memory",
    Kind.DISK_LIMIT: "takes too much disk space",
    Kind.REPORT_INVALID: "leaves no report that can be read",
    Kind.FETCH_FAILED: "cannot be fetched",
}
_OF_TRUNK = {
    "fetch-failed": "cannot be fetched",
    "configure-failed": "cannot be configured",
    "compile-failed": "does not compile",
    "install-failed": "cannot be installed",
    "prove-failed": "does not prove to work",
}


@dataclass(frozen=True, slots=True)
class Shows:
    """Who shows an incident, and what the first of them said."""

    kind: Kind
    projects: Sequence[str]
    """Each once; whose run showed it first comes first."""
    tests: Sequence[str] = ()
    """Of all projects, each once; none where it is the runs as a whole."""
    exception: str = ""
    message: str = ""
    surfaced: Surfaced = NOWHERE


def title(shows: Shows) -> str:
    """Return the line: what happens to whom, where it surfaced, and what was said.

    >>> from pybots.verdicts.surfaced import Place, Surfaced
    >>> title(Shows(Kind.ERROR, ["twisted"], ["a", "b"], "ImportError", "no md5",
    ...             Surfaced(Place.DEPENDENCY, "PyCrypto")))
    'Fails in PyCrypto, under twisted (2 tests): ImportError: no md5'
    >>> title(Shows(Kind.INSTALL_FAILED, ["a", "b", "c", "d"]))
    'a, b, c and 1 more: cannot be installed'
    """
    said = _said(shows.exception, shows.message)
    who = named(shows.projects)
    if shows.surfaced.place in {Place.DEPENDENCY, Place.NATIVE, Place.STANDARD_LIBRARY} and shows.tests:
        line = f"{fails_in(shows.surfaced, who)}{_how_many(shows.tests)}"
    elif len(shows.tests) == 1 and len(shows.projects) == 1:
        line = f"{who}: {_harmless(shows.tests[0])} {_HAPPENS[shows.kind]}"
    else:
        several = len(shows.tests) > 1
        line = f"{who}: {_many(shows) if several else _HAPPENS[shows.kind]}"
    return shortened(f"{line}{said}", LONGEST)


def trunk_title(branch: str, status: str, tracks: Sequence[str], said: str) -> str:
    """Return the line of an interpreter that is not made any more.

    >>> trunk_title("main", "compile-failed", ["debug"], "error: expected ';'")
    "main does not compile (debug): error: expected ';'"
    """
    what = _OF_TRUNK.get(status, status)
    tail = f": {_harmless(said)}" if said else ""
    return shortened(f"{branch} {what} ({named(tracks)}){tail}", LONGEST)


def named(names: Sequence[str]) -> str:
    """Return a few of *names*, and how many more there are."""
    first = ", ".join(_harmless(name) for name in names[:_NAMED])
    more = len(names) - _NAMED
    return f"{first} and {more} more" if more > 0 else first


def _many(shows: Shows) -> str:
    happens = {"is": "are", "fails": "fail", "passes": "pass", "cannot": "cannot", "crashes": "crash"}
    first, _, rest = _HAPPENS[shows.kind].partition(" ")
    return f"{len(shows.tests)} tests {happens.get(first, first)} {rest}".rstrip()


def _how_many(tests: Sequence[str]) -> str:
    return f" ({len(tests)} tests)" if len(tests) > 1 else ""


def _said(exception: str, message: str) -> str:
    first = message.strip().split("\n", maxsplit=1)[0]
    said = ": ".join(text for text in (exception.rpartition(".")[2], first) if text)
    return f": {_harmless(said)}" if said else ""


def _harmless(text: str) -> str:
    return safe_name(shortened(" ".join(text.split()), _MESSAGE), _MESSAGE)
