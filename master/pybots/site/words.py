"""Decides which words and which mark stand for a status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """A shape and a colour. Never shown without a word beside it."""

    GOOD = "good"
    """A circle with a tick: it did what it should."""
    LOOK = "look"
    """A triangle: the suite ran, and tests failed."""
    STOPPED = "stopped"
    """A square: the suite gave no answer."""
    FARM = "farm"
    """A diamond: the farm's own trouble, and nobody's regression."""
    ACT = "act"
    """An octagon, the one red shape: somebody has to do something."""
    WAITING = "waiting"
    """A dotted circle: wanted or under way."""
    NONE = "none"
    """A dash: nothing was run, and nothing is wrong with that."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a page says of a status: its name, its mark, and what it means in a sentence."""

    label: str
    mark: Mark
    meaning: str


_STATES = {
    "wanted": Word("waiting", Mark.WAITING, "It is wanted; the master has not asked a worker for it yet."),
    "requested": Word("waiting", Mark.WAITING, "The master has asked for it; it waits for a free worker."),
    "running": Word("running", Mark.WAITING, "A worker is at it."),
}

_RUNS = {
    "passed": Word("passed", Mark.GOOD, "The suite ran to its end, and no test failed."),
    "tests-failed": Word("tests failed", Mark.LOOK, "The suite ran to its end, and some tests failed."),
    "fetch-failed": Word("fetch failed", Mark.STOPPED, "The project's source could not be fetched."),
    "environment-failed": Word(
        "environment failed",
        Mark.STOPPED,
        "A dependency could not be resolved, built or installed.",
    ),
    "install-failed": Word(
        "install failed", Mark.STOPPED, "The project itself could not be built or installed."
    ),
    "collection-failed": Word(
        "collection failed",
        Mark.STOPPED,
        "Some of the suite could not be imported, so its tests did not run.",
    ),
    "crashed": Word("crashed", Mark.STOPPED, "The suite's process died before its end."),
    "timed-out": Word(
        "timed out", Mark.STOPPED, "The suite was stopped: it took, or was silent for, too long."
    ),
    "memory-limit": Word("memory limit", Mark.STOPPED, "The suite was stopped: it used too much memory."),
    "disk-limit": Word("disk limit", Mark.STOPPED, "The suite was stopped: it wrote too much to the disk."),
    "report-invalid": Word(
        "report invalid", Mark.STOPPED, "The suite ended without a report that can be read."
    ),
    "no-tests": Word("no tests", Mark.STOPPED, "The suite ended well, but not one test was run."),
    "worker-lost": Word(
        "worker lost", Mark.FARM, "The worker went away. This says nothing about the project."
    ),
    "worker-unfit": Word(
        "worker unfit", Mark.FARM, "The worker could not do this run. This says nothing about the project."
    ),
    "farm-error": Word(
        "farm error", Mark.FARM, "The farm made a mistake. This says nothing about the project."
    ),
    "cancelled": Word("cancelled", Mark.FARM, "The run was no longer wanted."),
}

# After a number of runs, one or many.
_IN_PASSING = {
    "tests-failed": "had failing tests",
    "fetch-failed": "could not be fetched",
    "environment-failed": "got no environment",
    "install-failed": "failed to install",
    "collection-failed": "failed to collect",
    "memory-limit": "used too much memory",
    "disk-limit": "wrote too much",
    "report-invalid": "left no valid report",
    "no-tests": "ran no tests",
    "worker-lost": "lost the worker",
    "worker-unfit": "met an unfit worker",
    "farm-error": "met an error of the farm",
}

_INTERPRETERS = {
    "proven": Word("proven", Mark.GOOD, "It was built, installed, and seen to work."),
    "inherited": Word(
        "inherited",
        Mark.NONE,
        "Nothing that reaches an interpreter changed: what holds for the earlier one holds for it.",
    ),
    "fetch-failed": Word("fetch failed", Mark.FARM, "The trunk does not have this commit any more."),
    "configure-failed": Word("configure failed", Mark.ACT, "configure ended with an error."),
    "compile-failed": Word("compile failed", Mark.ACT, "It does not compile, not even from a clean tree."),
    "install-failed": Word("install failed", Mark.ACT, "make install ended with an error."),
    "prove-failed": Word("prove failed", Mark.ACT, "It was installed, but does not do what it should."),
    "worker-unfit": Word(
        "not built here",
        Mark.FARM,
        "The worker lacks what this variant is built with. This says nothing about the commit.",
    ),
    "worker-lost": Word(
        "worker lost", Mark.FARM, "The worker went away. This says nothing about the commit."
    ),
}

TOUCHES = {
    "documentation": ("documentation only", "It touches nothing but documentation."),
    "tests": ("tests only", "It touches nothing but CPython's own tests (and documentation)."),
    "library": ("standard library", "It touches Python code of the standard library, and no C."),
    "native": ("C or build", "It touches C, the build system, or something not known to be harmless."),
}

MARKS = (
    (Mark.GOOD, "passed, or proven to work"),
    (Mark.LOOK, "tests failed"),
    (Mark.STOPPED, "the suite gave no answer"),
    (Mark.FARM, "the farm's own trouble"),
    (Mark.WAITING, "waiting or running"),
    (Mark.NONE, "not run"),
    (Mark.ACT, "needs somebody to act"),
)
"""The legend, in the order in which it is read."""


def _unknown(status: str) -> Word:
    return Word(status.replace("-", " ") or "unknown", Mark.FARM, "This page does not know this status.")


def of_run(state: str, status: str) -> Word:
    """Return what is said of a run in *state* that ended with *status*."""
    if state != "finished":
        return _STATES.get(state, _unknown(state))
    return _RUNS.get(status, _unknown(status))


def in_passing(status: str, label: str) -> str:
    """Return what is said of runs that ended so, after their number: `2 timed out`."""
    return _IN_PASSING.get(status, label)


def of_interpreter(state: str, status: str) -> Word:
    """Return what is said of an interpreter in *state* that ended with *status*."""
    if state != "finished":
        return _STATES.get(state, _unknown(state))
    return _INTERPRETERS.get(status, _unknown(status))


def of_touches(touches: str) -> tuple[str, str]:
    """Return how a commit was classified: a short name and a sentence."""
    return TOUCHES.get(touches, (touches.replace("-", " "), "This page does not know this class."))
