"""Decides what a trial is asked to run: all as it was in the subject, but for the axes that it puts back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pybots.verdicts.compare import ALONE_SOME_TESTS, ALONE_THE_TEST_UNDER_WAY, ALONE_WITHOUT_TESTS
from pybots.verdicts.evidence import WHOLE_RUN, Axis, Back, Kind
from pybots_worker.contract import (
    GitSource,
    Lock,
    PypiSource,
    RunSpecification,
    Source,
    StoredInterpreter,
)

MOST_TESTS = 5_000
"""More than this the contract does not take: the whole suite is run then."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a finished run was made of."""

    specification: RunSpecification
    revision: str
    """The project's own, as the worker saw it; empty where it did not come so far."""
    lock: Lock | None
    environment_digest: str
    """Of what was really installed; empty where it did not come so far."""
    artifact: str
    """The interpreter's digest."""


def moved_between(subject: Frozen, baseline: Frozen) -> frozenset[Axis]:
    """Return what differs between two runs of one project.

    How the project is installed and tested is part of its revision: a recipe that changed changes what is run.
    """
    found = set()
    if subject.artifact != baseline.artifact:
        found.add(Axis.INTERPRETER)
    if _installed(subject) != _installed(baseline):
        found.add(Axis.DEPENDENCY)
    if _project(subject) != _project(baseline):
        found.add(Axis.PROJECT)
    return frozenset(found)


def specification_of(
    key: str, subject: Frozen, baseline: Frozen | None, back: Back, artifact: str, tests: Sequence[str] | None
) -> RunSpecification:
    """Return what a trial is asked to run. *artifact* is the baseline's interpreter, which may come without a run.

    Raises ValueError where *back* names what the baseline does not have.
    """
    if baseline is None and back - {Axis.INTERPRETER}:
        msg = "without a baseline run there is only its interpreter to put back"
        raise ValueError(msg)
    project = baseline if baseline is not None and Axis.PROJECT in back else subject
    environment = baseline if baseline is not None and Axis.DEPENDENCY in back else subject
    digest = artifact if Axis.INTERPRETER in back else subject.artifact
    interpreter = subject.specification.interpreter
    if isinstance(interpreter, StoredInterpreter):
        interpreter = interpreter.model_copy(update={"digest": digest})
    changes = {
        "key": key,
        "source": pinned(project.specification.source, project.revision),
        "interpreter": interpreter,
        "lock": environment.lock,
        "tests": None if tests is None else list(tests),
        "packages": subject.specification.packages,
        "limits": subject.specification.limits,
    }
    return project.specification.model_copy(update=changes)


def pinned(source: Source, revision: str) -> Source:
    """Return *source* at the *revision* that a worker saw; an archive is named by its content already."""
    if not revision:
        return source
    if isinstance(source, PypiSource):
        return source.model_copy(update={"version": revision})
    if isinstance(source, GitSource):
        return source.model_copy(update={"ref": revision})
    return source


def tests_of(
    items: Sequence[str],
    kinds: Collection[Kind],
    under_way: str,
    *,
    alone: bool,
    newly_skipped: Sequence[str],
) -> list[str] | None:
    """Return which tests a trial of *items* runs: these, none of them, or None for the whole suite.

    *kinds* are those of the differences among *items* that the run as a whole shows; *under_way* is the test during
    which the subject ended, where that is known; *newly_skipped* some of the tests that it skips and that ran before.
    """
    if not alone:
        return None
    tests = [item for item in items if item != WHOLE_RUN]
    for kind in kinds:
        if kind in ALONE_WITHOUT_TESTS:
            continue
        if kind in ALONE_THE_TEST_UNDER_WAY and under_way:
            tests.append(under_way)
            continue
        if kind in ALONE_SOME_TESTS and newly_skipped:
            tests.extend(newly_skipped)
            continue
        return None
    return None if len(tests) > MOST_TESTS else list(dict.fromkeys(tests))


def _installed(run: Frozen) -> str:
    return run.environment_digest or (run.lock.digest if run.lock else "")


def _project(run: Frozen) -> RunSpecification:
    """What a run asks for of the project itself, with all else taken out."""
    neutral = {
        "key": "",
        "interpreter": StoredInterpreter(digest="0" * 64, url=""),
        "source": _without_place(pinned(run.specification.source, run.revision)),
        "lock": None,
        "tests": None,
        "packages": RunSpecification.model_fields["packages"].default,
        "limits": RunSpecification.model_fields["limits"].default,
    }
    return run.specification.model_copy(update=neutral)


def _without_place(source: Source) -> Source:
    # Where the master hands an archive out may change; what is in it is named by its digest.
    return source.model_copy(update={"url": ""}) if source.kind == "archive" else source
