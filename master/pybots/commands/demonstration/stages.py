"""Decides what the progress shows, from the farm's facts, and when the demonstration is at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pybots.commands.facts import InterpreterFact, RunFact
from pybots.runs.status import RunStatus, State
from pybots_worker.contract import InterpreterStatus

SUITE_RAN = frozenset(
    {
        RunStatus.PASSED,
        RunStatus.TESTS_FAILED,
        RunStatus.NO_TESTS,
        RunStatus.COLLECTION_FAILED,
        RunStatus.CRASHED,
        RunStatus.TIMED_OUT,
        RunStatus.MEMORY_LIMIT,
        RunStatus.DISK_LIMIT,
        RunStatus.REPORT_INVALID,
    }
)
"""Statuses that say something of a suite. With any other one the suite was not carried out."""

BUILT_IN_SECONDS: Mapping[str, float] = {
    "machine": 5,
    "source": 30,
    "farm": 20,
    "interpreter default": 160,
    "interpreter debug": 160,
    "attrs": 30,
    "click": 15,
    "django": 320,
    "genshi": 10,
    "markupsafe": 10,
    "packaging": 65,
    "pg8000": 40,
    "pyyaml": 20,
    "roundup": 240,
    "twisted": 190,
}
"""Measured on two cores; the durations of an earlier demonstration take their place."""
UNKNOWN_SECONDS = 120.0


class Progress(StrEnum):
    """How far a stage is."""

    WAITING = "waiting"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the progress; `seconds` so far, `expected` seconds in all."""

    name: str
    progress: Progress
    detail: str
    seconds: float
    expected: float

    @property
    def left(self) -> float:
        """Seconds that it may still take."""
        over = self.progress in {Progress.DONE, Progress.FAILED}
        return 0.0 if over else max(self.expected - self.seconds, 0.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the farm says at one moment: the head's interpreters, and each project's newest run on each."""

    interpreters: tuple[InterpreterFact, ...] = ()
    runs: tuple[RunFact, ...] = ()
    expected: tuple[tuple[str, str], ...] = ()
    """(project, interpreter key) of every run there should be."""
    phases: Mapping[str, str] | None = None
    """What is being done for a key, in the worker's own words."""
    set_aside: tuple[tuple[str, str], ...] = ()
    """Projects whose recipe has a problem, and the problem."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for."""
        if not self.interpreters or any(i.state != State.FINISHED for i in self.interpreters):
            return False
        finished = {(run.project, run.interpreter) for run in self.runs if run.state == State.FINISHED}
        return all(pair in finished for pair in self.expected)


def expected_seconds(name: str, known: Mapping[str, float]) -> float:
    """How long a stage takes: as last time, or as on the machine where this was measured."""
    return known.get(name, BUILT_IN_SECONDS.get(name, UNKNOWN_SECONDS))


def farm_stages(standing: Standing, now: datetime, known: Mapping[str, float]) -> list[Stage]:
    """The stages that the farm itself carries out: interpreters, then runs in the order of the projects."""
    several = len(standing.interpreters) > 1
    stages = [_interpreter_stage(fact, standing, now, known) for fact in standing.interpreters]
    runs = {(run.project, run.interpreter): run for run in standing.runs}
    variants = {fact.key: fact.track.variant for fact in standing.interpreters}
    for project, key in standing.expected:
        name = f"{project} {variants.get(key, '')}".strip() if several else project
        stages.append(_run_stage(name, runs.get((project, key)), standing, now, known))
    return stages


def waiting_stages(
    variants: Sequence[str], projects: Sequence[str], known: Mapping[str, float]
) -> list[Stage]:
    """What is going to come, before the farm knows of it: for an estimate of all of it."""
    names = [f"interpreter {variant}" for variant in variants] + list(projects)
    return [Stage(name, Progress.WAITING, "", 0.0, expected_seconds(name, known)) for name in names]


def _interpreter_stage(
    fact: InterpreterFact, standing: Standing, now: datetime, known: Mapping[str, float]
) -> Stage:
    name = f"interpreter {fact.track.variant}"
    expected = expected_seconds(name, known)
    if fact.state == State.FINISHED:
        proven = fact.status == InterpreterStatus.PROVEN
        detail = fact.status if proven else f"{fact.status}: {fact.detail}"
        return Stage(name, Progress.DONE if proven else Progress.FAILED, detail, fact.seconds, expected)
    if fact.state == State.RUNNING:
        detail = _working(fact.worker, standing, fact.key)
        return Stage(name, Progress.ACTIVE, detail, _since(fact.began, now), expected)
    return Stage(name, Progress.WAITING, "waits for a worker", 0.0, expected)


def _run_stage(
    name: str, run: RunFact | None, standing: Standing, now: datetime, known: Mapping[str, float]
) -> Stage:
    expected = expected_seconds(name, known)
    if run is None:
        return Stage(name, Progress.WAITING, "waits for the interpreter", 0.0, expected)
    if run.state == State.FINISHED:
        progress = Progress.DONE if carried_out(run) else Progress.FAILED
        return Stage(name, progress, run_words(run), run.seconds, expected)
    if run.state == State.RUNNING:
        return Stage(
            name, Progress.ACTIVE, _working(run.worker, standing, run.key), _since(run.began, now), expected
        )
    return Stage(name, Progress.WAITING, "waits for a worker", 0.0, expected)


def _working(worker: str, standing: Standing, key: str) -> str:
    phase = (standing.phases or {}).get(key, "")
    return f"{phase} on worker {worker}" if phase else f"on worker {worker}"


def _since(began: datetime | None, now: datetime) -> float:
    return max((now - began).total_seconds(), 0.0) if began else 0.0


def carried_out(run: RunFact) -> bool:
    """Whether the suite itself was run, whatever it said."""
    return run.status in SUITE_RAN


def run_words(run: RunFact) -> str:
    """What a finished run did, in one line."""
    if not carried_out(run):
        return f"{run.status}: {run.detail}" if run.detail else run.status
    bad = run.failed + run.error
    return f"{run.status}: {run.passed} of {run.collected} passed" + (f", {bad} did not" if bad else "")


def seconds_left(stages: Sequence[Stage], workers: int) -> float:
    """How long the rest may take: runs share the workers, everything before them is one after the other."""
    unfinished = [stage for stage in stages if stage.left]
    before = [stage for stage in unfinished if _comes_before(stage)]
    runs = [stage for stage in unfinished if not _comes_before(stage)]
    shared = sum(stage.left for stage in runs) / max(workers, 1)
    return sum(stage.left for stage in before) + max([shared, *(stage.left for stage in runs)])


def _comes_before(stage: Stage) -> bool:
    return stage.name in {"machine", "source", "farm"} or stage.name.startswith("interpreter ")


def all_carried_out(standing: Standing) -> bool:
    """Whether the farm did its work: every interpreter proven, every suite run, no recipe set aside."""
    proven = all(i.status == InterpreterStatus.PROVEN for i in standing.interpreters)
    ran = {(run.project, run.interpreter) for run in standing.runs if carried_out(run)}
    return (
        bool(standing.interpreters)
        and bool(standing.expected)
        and proven
        and all(pair in ran for pair in standing.expected)
        and not standing.set_aside
    )
