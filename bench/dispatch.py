"""Time from the end of an interpreter's build to the last of its runs, beside the lower bound that the runs give.

A real master and real Buildbot workers; `pybots-worker` alone is stood in for by a program that sleeps, because eight
real runs at once would need eight processors: what is measured is the farm's own time, and its order of runs. No
schedule ends before the sum of the runs' durations divided by the workers, nor before the longest run.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import click

from bench.command import bench
from bench.dispatch_farm import DispatchFarm, running
from bench.figures import Comparison, Findings, Samples, at_most
from bench.makespan import Carried, lower_bound, makespan, parts
from pybots.database.tables import InterpreterRow, RunRow

AIM = 1.05
WHERE = {
    "first": "until a worker had its first run (mean)",
    "between": "from a run's result to the worker's next run (mean)",
    "around": "in a run's build around the run itself (mean)",
    "idle_at_end": "idle while the last runs ended (mean of workers)",
}


@bench("dispatch")
@click.option("--runs", default=60, show_default=True, help="Projects, each with one run an interpreter.")
@click.option("--workers", default=8, show_default=True, help="Worker processes.")
@click.option("--shortest", default=2.0, show_default=True, help="Seconds of the shortest run.")
@click.option("--longest", default=20.0, show_default=True, help="Seconds of the longest run.")
@click.option("--rounds", default=2, show_default=True, help="Interpreters measured, after a first one.")
def main(runs: int, workers: int, shortest: float, longest: float, rounds: int) -> Findings:
    """Have an interpreter made and every project run on it, again and again."""
    sleeps = _sleeps(runs, shortest, longest)
    patience = 120 + 4 * lower_bound(list(sleeps.values()), workers)
    with tempfile.TemporaryDirectory() as place:
        farm = DispatchFarm(Path(place), sleeps, workers)
        with running(farm):
            first = _carried(*farm.finished(farm.head, patience))
            rest = [_carried(*farm.finished(farm.commit(number + 1), patience)) for number in range(rounds)]
    return Findings(
        (
            _comparison("no run's duration is known yet", [first], workers, with_aim=False),
            _comparison("durations are known from earlier runs", rest, workers, with_aim=True),
        ),
        tuple(
            Samples(text, "s", tuple(getattr(parts(carried), name) for carried in rest))
            for name, text in WHERE.items()
        ),
        (
            f"{runs} runs of {shortest:g} to {longest:g} s on {workers} workers; pybots-worker is stood in for",
        ),
    )


def _sleeps(runs: int, shortest: float, longest: float) -> dict[str, float]:
    """Return durations in an order that has nothing to do with the projects' names.

    Each is longer than the one before by the same factor: there are many short suites and few long ones.
    """
    factor = (longest / shortest) ** (1 / max(runs - 1, 1))
    durations = [round(shortest * factor**number, 2) for number in range(runs)]
    random.Random(3).shuffle(durations)  # noqa: S311  (nothing secret)
    return {f"project{number:03}": seconds for number, seconds in enumerate(durations)}


def _carried(interpreter: InterpreterRow, rows: list[RunRow]) -> list[Carried]:
    began = interpreter.finished_at
    assert began is not None
    carried = []
    for run in rows:
        assert run.status == "passed", (run.key, run.status, run.detail)
        assert run.started_at is not None
        assert run.finished_at is not None
        started, finished = ((at - began).total_seconds() for at in (run.started_at, run.finished_at))
        carried.append(Carried(run.worker, started, finished, run.seconds))
    return carried


def _comparison(name: str, rounds: list[list[Carried]], workers: int, *, with_aim: bool) -> Comparison:
    bounds = [lower_bound([run.seconds for run in carried], workers) for carried in rounds]
    return Comparison(
        name,
        Samples("from the build's end to the last run's result", "s", tuple(map(makespan, rounds))),
        Samples("lower bound by the runs' own durations", "s", tuple(bounds)),
        at_most(AIM) if with_aim else None,
    )


if __name__ == "__main__":
    main()
