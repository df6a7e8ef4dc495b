"""Decides what happens in a generated history: the data that says it all, and how it is drawn from a seed.

A history is one project on one track: a subject run at each head, on one of two workers. What a run is made of is named
by heads: with `content` 7 of the project it has the revision that came with head 7.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from pybots.verdicts.evidence import Axis, Kind

WORKERS = ("w1", "w2")
WHOLE_KINDS = (Kind.INSTALL_FAILED, Kind.COLLECTION_FAILED, Kind.CRASHED, Kind.TIMED_OUT, Kind.SUITE_SKIPPED)
TEST_KINDS = (Kind.FAILED, Kind.FAILED, Kind.FAILED, Kind.ERROR, Kind.SKIPPED, Kind.VANISHED)
SCENARIOS = {
    "nothing": 25,
    "interpreter": 20,
    "flaky-regression": 8,
    "own-change": 12,
    "dependency": 10,
    "worker-fault": 8,
    "world": 4,
    "several": 10,
    "together": 3,
}


@dataclass(frozen=True)
class Break:
    """From head `at` on (of every axis in `axes`), until head `until`, these tests are bad, so often."""

    axes: tuple[str, ...]
    at: int
    tests: tuple[str, ...]
    """None of them: the run as a whole."""
    kind: str
    until: int | None = None
    rate: float = 1.0
    only_together: bool = False
    one_signature: bool = True


@dataclass(frozen=True)
class Flake:
    """A test that comes and goes by itself; `mode` says with what."""

    test: str
    mode: str
    rate: float
    worker: str = ""
    windows: tuple[tuple[float, float], ...] = ()
    """Times in heads: of `correlated` the only ones at which it fails, of `load` those at which it fails more."""
    signature: str = ""


@dataclass(frozen=True)
class Trouble:
    """Something outside of what a run freezes: a sick worker for a while, or the world (`worker` is empty) for good."""

    at: float
    until: float
    tests: tuple[str, ...]
    worker: str = ""
    noticed: bool = False
    """The worker says itself that it is unfit: its runs are not judged."""


@dataclass(frozen=True)
class History:
    """Everything that happens to one project on one track."""

    seed: str
    scenario: str
    past: int
    """The first so many heads are long ago: their runs are known, and nobody judges them any more."""
    heads: int
    suite_tests: int
    workers: tuple[str, ...]
    """Who carries out the subject run at each head."""
    projects: tuple[int, ...]
    """The heads with which a new revision of the project came; the first is 0."""
    dependencies: tuple[int, ...]
    breaks: tuple[Break, ...]
    flakes: tuple[Flake, ...]
    troubles: tuple[Trouble, ...]

    def content(self, axis: Axis, head: int) -> int:
        """Return which content of *axis* the subject run at *head* has."""
        if axis is Axis.INTERPRETER:
            return head
        changes = self.projects if axis is Axis.PROJECT else self.dependencies
        return max(change for change in changes if change <= head)


def write(history: History, file: Path) -> None:
    """Write *history* as JSON."""
    file.write_text(json.dumps(asdict(history), indent=1) + "\n")


def read(file: Path) -> History:
    """Return what `write` wrote."""
    facts: dict[str, Any] = json.loads(file.read_text())
    for name, shape in (("breaks", Break), ("flakes", Flake), ("troubles", Trouble)):
        facts[name] = tuple(shape(**_tuples(one)) for one in facts[name])
    return History(**_tuples(facts))


def _tuples(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) for name, value in facts.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


def draw(seed: str) -> History:
    """Return the history that *seed* stands for."""
    random = Random(seed)  # noqa: S311  (nothing here is secret)
    scenario = random.choices(list(SCENARIOS), list(SCENARIOS.values()))[0]
    past = 0 if random.random() < 0.1 else random.randint(20, 80)
    heads = past + random.randint(80, 120)
    suite = random.choice((20, 50, 100, 200))
    breaks = _breaks(random, scenario, past, heads, suite)
    return History(
        seed,
        scenario,
        past,
        heads,
        suite,
        tuple(random.choice(WORKERS) for _ in range(heads)),
        _changes(random, heads, 0.15, breaks, Axis.PROJECT),
        _changes(random, heads, 0.10, breaks, Axis.DEPENDENCY),
        breaks,
        _flakes(random, heads, suite),
        _troubles(random, scenario, past, heads, suite),
    )


def _changes(
    random: Random, heads: int, share: float, breaks: tuple[Break, ...], axis: Axis
) -> tuple[int, ...]:
    forced = {
        head for one in breaks if axis.value in one.axes for head in (one.at, one.until) if head is not None
    }
    return (0, *(head for head in range(1, heads) if head in forced or random.random() < share))


def _breaks(random: Random, scenario: str, past: int, heads: int, suite: int) -> tuple[Break, ...]:
    at = past + random.randint(10, 60)
    match scenario:
        case "interpreter":
            return (_break(random, (Axis.INTERPRETER,), at, suite),)
        case "own-change":
            return (_break(random, (Axis.PROJECT,), at, suite),)
        case "dependency":
            return (_break(random, (Axis.DEPENDENCY,), at, suite),)
        case "flaky-regression":
            return (_flaky_break(random, at, suite),)
        case "together":
            other = random.choice((Axis.PROJECT, Axis.DEPENDENCY))
            return (_break(random, (Axis.INTERPRETER, other), at, suite, lasting=True),)
        case "several":
            heads_of = [at, at if random.random() < 0.5 else random.randint(at, heads - 12)]
            return tuple(_break(random, (random.choice(list(Axis)),), head, suite) for head in heads_of)
        case _:
            return ()


def _break(random: Random, axes: tuple[Axis, ...], at: int, suite: int, *, lasting: bool = False) -> Break:
    whole = random.random() < 0.15
    hit = min(suite // 3, 1 + int(random.expovariate(1 / 3)))
    return Break(
        tuple(axis.value for axis in axes),
        at,
        () if whole else tuple(sorted(random.sample(_names(suite), hit))),
        random.choice(WHOLE_KINDS if whole else TEST_KINDS).value,
        at + random.randint(3, 10) if not lasting and random.random() < 0.25 else None,
        only_together=not whole and random.random() < 0.03,
        one_signature=random.random() < 0.8,
    )


def _flaky_break(random: Random, at: int, suite: int) -> Break:
    tests = tuple(random.sample(_names(suite), random.randint(1, 2)))
    return Break((Axis.INTERPRETER.value,), at, tests, Kind.FAILED.value, rate=random.uniform(0.3, 0.95))


def _flakes(random: Random, heads: int, suite: int) -> tuple[Flake, ...]:
    shared = _windows(random, heads)
    found = []
    for test in random.sample(_names(suite), max(1, suite // 20)):
        mode = random.choices(("independent", "order", "load", "worker", "correlated"), (50, 10, 15, 10, 15))[
            0
        ]
        rate = 0.005 * 120 ** random.random()  # from one in two hundred to three in five
        windows = shared if mode == "correlated" else _windows(random, heads) if mode == "load" else ()
        if mode == "correlated":
            rate = random.uniform(0.2, 1.0)
        signature = "timeout" if random.random() < 0.2 else test
        found.append(Flake(test, mode, rate, random.choice(WORKERS), windows, signature))
    return tuple(found)


def _windows(random: Random, heads: int) -> tuple[tuple[float, float], ...]:
    starts = [random.uniform(0, heads) for _ in range(random.randint(1, 4 + heads // 20))]
    return tuple((start, start + 0.03 * 100 ** random.random()) for start in sorted(starts))


def _troubles(random: Random, scenario: str, past: int, heads: int, suite: int) -> tuple[Trouble, ...]:
    at = random.randint(past + 10, heads - 10)
    hit = tuple(sorted(random.sample(_names(suite), max(1, suite // 4))))
    if scenario == "worker-fault":
        noticed = random.random() < 0.5
        return (Trouble(at, at + random.uniform(0.5, 8), hit, random.choice(WORKERS), noticed),)
    if scenario == "world":
        return (Trouble(at, 2.0 * heads, hit[: random.randint(1, 5)]),)
    return ()


def _names(suite: int) -> list[str]:
    return [f"t{number:03}" for number in range(suite)]
