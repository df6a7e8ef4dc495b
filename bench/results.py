"""Results per second, from a report on disk to a committed transaction, beside Buildbot's own test-result tables.

Ours are parsed, compared with the run before, stored and committed, as the farm's own step does it. The peer is given
its results in memory, without their texts: it need not parse anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from bench.buildbot_results import FAILED, PASSED, Submit, buildbot_results
from bench.command import bench
from bench.farm_results import FarmResults
from bench.figures import Comparison, Findings, Samples, at_least
from bench.interleave import in_turn, seconds
from bench.reports import junit, test_names

AIM = 50
PEER = "peer"
COUNTED_RUNS = 100


@dataclass(frozen=True)
class Share:
    """How much changes from one run to the next: passed becomes failed, and back."""

    name: str
    percent: int
    one_cause: bool = False

    def failing(self, tests: int, run: int) -> range:
        """Return the numbers of the tests that fail in a run; those of every second one pass all."""
        return range(0, tests if self.percent and run % 2 else 0, 100 // (self.percent or 100))


SHARES = (
    Share("0 % of outcomes changed", 0),
    Share("1 % of outcomes changed", 1),
    Share("100 % of outcomes changed, all for one cause", 100, one_cause=True),
    Share("100 % of outcomes changed, each with a text of its own", 100),
)


@bench("results")
@click.option("--tests", default=17_000, show_default=True, help="Tests in a report.")
@click.option("--runs", default=4, show_default=True, help="Runs taken in for one measurement.")
@click.option("--rounds", default=5, show_default=True, help="Measurements of each, in turn.")
@click.option(
    "--databases",
    default="",
    metavar="URL",
    help=f"Empty databases for ours, instead of SQLite's: {{}} stands for a number, 0 to {len(SHARES) - 1}.",
)
def main(tests: int, runs: int, rounds: int, databases: str) -> Findings:
    """Take in runs of one project on one track, and compare with Buildbot's test-result API."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        farms = {
            share.name: FarmResults(folder / str(number), databases.replace("{}", str(number)))
            for number, share in enumerate(SHARES)
        }
        with buildbot_results(folder / "buildbot", test_names(tests)) as submit:
            submit([PASSED] * tests)
            measures: dict[str, Callable[[], float]] = {PEER: lambda: _peer(submit, tests, runs)}
            for share in SHARES:
                farm = farms[share.name]
                _ours(farm, share, tests, 1)  # the names are known from here on, as they are to the peer
                measures[share.name] = lambda farm=farm, share=share: _ours(farm, share, tests, runs)  # type: ignore[misc]
            found = in_turn(measures, rounds)
        size = _bytes_of_an_unchanged_run(folder / "unchanged")
    peer = Samples("Buildbot's addTestResults", "results/s", found[PEER])
    return Findings(
        tuple(
            Comparison(share.name, Samples("the farm", "results/s", found[share.name]), peer, at_least(AIM))
            for share in SHARES
        ),
        (size,),
        (f"{tests} tests a report, {runs} runs a measurement",),
    )


def _ours(farm: FarmResults, share: Share, tests: int, runs: int) -> float:
    reports = [
        # Another seed for each: a text of its own is one that was never there before.
        junit(tests, share.failing(tests, run), one_cause=share.one_cause, seed=farm.runs + run)
        for run in range(1, runs + 1)
    ]
    prepared = farm.prepare(reports)
    taken = seconds(lambda: farm.take_in(prepared))
    farm.clear(prepared)
    return tests * runs / taken


def _peer(submit: Submit, tests: int, runs: int) -> float:
    def work() -> None:
        for run in range(runs):
            submit([FAILED if run % 2 else PASSED] * tests)

    return tests * runs / seconds(work)


def _bytes_of_an_unchanged_run(folder: Path) -> Samples:
    """Return how much the database grows for a run, planned and taken in, that says what the one before said."""
    farm = FarmResults(folder)
    _take_in(farm, 1)
    before = farm.size()
    _take_in(farm, COUNTED_RUNS)
    grown = farm.size() - before
    what = "an unchanged run with its interpreter and commit, bytes in the database"
    return Samples(what, "B", (grown / COUNTED_RUNS,))


def _take_in(farm: FarmResults, runs: int) -> None:
    # How many tests there are does not matter: an unchanged run leaves nothing behind for any of them.
    prepared = farm.prepare([junit(100, range(0), one_cause=False, seed=seed) for seed in range(runs)])
    farm.take_in(prepared)
    farm.clear(prepared)


if __name__ == "__main__":
    main()
