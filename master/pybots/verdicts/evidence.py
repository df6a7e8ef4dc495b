"""The shapes in which evidence comes: what differed, what its past is, and what each trial of it showed.

A *trial* is a confirmation, a control or a probe, seen from the comparison that asked for it. An *item* is what can
differ: a test, by its name, or the run as a whole (`WHOLE_RUN`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

WHOLE_RUN = ""
"""The item that stands for how a run ended as a whole: it crashed, it could not be installed, ..."""


class Axis(StrEnum):
    """What of a run can be put back to what it was at the baseline, with all else frozen."""

    INTERPRETER = "interpreter"
    DEPENDENCY = "dependency"
    """The environment: every distribution besides the project, and what builds them."""
    PROJECT = "project"
    """The project's own revision."""


Back = frozenset[Axis]
"""The axes that a trial puts back. Empty: the subject again (a confirmation). The interpreter alone: the control."""

SUBJECT: Back = frozenset()
CONTROL: Back = frozenset({Axis.INTERPRETER})


class Kind(StrEnum):
    """How an item differs from what it was."""

    FAILED = "failed"
    ERROR = "error"
    UNEXPECTED_PASS = "unexpected-pass"  # noqa: S105  (no password)
    SKIPPED = "skipped"
    SUITE_SKIPPED = "suite-skipped"
    """Every test of the suite is skipped."""
    VANISHED = "vanished"
    """A complete run does not name the test any more."""
    COLLECTION_FAILED = "collection-failed"
    NO_TESTS = "no-tests"
    INSTALL_FAILED = "install-failed"
    ENVIRONMENT_FAILED = "environment-failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    MEMORY_LIMIT = "memory-limit"
    DISK_LIMIT = "disk-limit"
    REPORT_INVALID = "report-invalid"
    FETCH_FAILED = "fetch-failed"


class Showing(StrEnum):
    """What one execution showed of an item."""

    DIFFERS = "differs"
    """It is again as it was in the subject: bad in the same way, or bad in another."""
    AGREES = "agrees"
    """It is as it was at the baseline."""
    UNKNOWN = "unknown"
    """The execution says nothing of it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many complete subject runs in a row, along first-parent order, in which the item showed one thing."""

    shows: Showing
    runs: int
    last_place: int
    """The place (`database.tables`) of the last of them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An item that is not what it was, and its own past on the track: a test's history is evidence too."""

    item: str
    kind: Kind
    signature: str
    """The same for the same fault: items of one comparison that share it and the kind are tried as one cluster."""
    history: tuple[Stretch, ...] = ()
    """Before the subject, oldest first; empty for a test, project or track that is new."""
    later: tuple[Showing, ...] = ()
    """In the complete subject runs after the subject, oldest first: evidence that costs nothing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished execution that the comparison had asked for."""

    key: str
    back: Back
    worker: str
    alone: bool
    """Only the asked items ran; else the whole suite did."""
    shows: Mapping[str, Showing] = field(default_factory=dict)
    """By item; what is not in it is unknown."""
    judged: bool = True
    """False where it ended for the farm's or the worker's own reasons (`worker-lost`, `worker-unfit`, ...)."""
    unfetchable: bool = False
    """True where what the trial needs cannot be had any more: the baseline's artifact, a revision, a distribution."""


@dataclass(frozen=True, slots=True)
class WantedTrial:
    """An execution that a comparison asks for; the dispatcher acts on it, once for each `serial`."""

    back: Back
    items: tuple[str, ...]
    """What it is for; the tests among them are run alone where `alone` says so, and the runner can."""
    alone: bool
    serial: int
    """Counts the trials of one comparison, from 0: they are carried out in this order on one worker."""
    worker: str = ""
    """Who carries it out; empty: any worker that is not in `not_on`."""
    not_on: tuple[str, ...] = ()
    machine_idle: bool = False
    """Nothing else may run on that machine meanwhile: hangs are judged so."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A subject run against its baseline: everything that `examine` decides on, but the trials.

    All differences in it have the same baseline run; where a subject's differences have several, there are as many.
    """

    worker: str
    """Who carried out the subject."""
    moved: frozenset[Axis]
    """What differs between the subject and the baseline run. Without INTERPRETER in it, that cannot be at fault."""
    differences: tuple[Difference, ...]
    others: tuple[str, ...] = ()
    """Other workers of the platform that are there now."""
    more_expected: bool = False
    """True while a later subject run of the project on the track is on its way, which will say more at no cost."""
    suite_tests: int = 1
    """How many tests the whole suite has, which is what running all of it costs."""
    judged: bool = True
    """False where the subject itself ended for the farm's or the worker's own reasons."""
