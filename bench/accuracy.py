"""How often the farm is right in whose a regression is, over generated histories with known truth, beside two others.

The histories and the executor are simulated; the comparisons and the decision are the farm's own. Peers: Buildbot's
"problem" mode (a change from green to red is told, of the newest interpreter), and retrying a difference until it
passes, at most three times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import click

from bench.accuracy_farm import judge
from bench.accuracy_history import draw, write
from bench.accuracy_past import subject_runs
from bench.accuracy_peers import first_seen, problem_mode, retry
from bench.accuracy_score import Score, lower_bound, score, upper_bound
from bench.accuracy_world import world
from bench.command import bench
from bench.figures import Comparison, Findings, Samples, at_least, at_most
from pybots.verdicts.budget import share
from pybots.verdicts.verdict import CLAIMS

JUDGES = ("the farm", "problem mode", "retry three times")
FALSE_A_YEAR = 0.01
CHUNK = 25

Scores = dict[tuple[str, str], Score]
"""By judge and scenario."""


@bench("accuracy")
@click.option("--histories", default=200, show_default=True, help="How many are drawn.")
@click.option("--first", default=0, show_default=True, help="The number of the first one.")
@click.option("--seed", default="0", show_default=True, help="What they are drawn from.")
@click.option(
    "--claims-a-year",
    default=1_000,
    show_default=True,
    help="What the farm's record is taken to say, among which its budget of false incidents is shared.",
)
@click.option("--processes", default=1, show_default=True, help="How many judge at once.")
@click.option(
    "--write-history",
    "written",
    type=(int, click.Path(dir_okay=False, path_type=Path)),
    help="Write the history of this number to this file as JSON, and judge that alone.",
    metavar="N FILE",
)
def main(
    histories: int,
    first: int,
    seed: str,
    claims_a_year: int,
    processes: int,
    written: tuple[int, Path] | None,
) -> Findings:
    """Draw histories, have each judged by the farm's decision and by the two peers, and compare with the truth."""
    seeds = [f"{seed}:{number}" for number in range(first, first + histories)]
    if written:
        seeds = [f"{seed}:{written[0]}"]
        write(draw(seeds[0]), written[1])
    scores: Scores = {}
    wrong: list[str] = []
    causes: Counter[str] = Counter()
    alpha = share(FALSE_A_YEAR, claims_a_year)
    for found, said, notes in _judged(seeds, processes, alpha):
        for key, one in found.items():
            scores[key] = scores.get(key, Score()) + one
        causes += said
        wrong += notes
    return _findings(scores, causes, wrong, histories if not written else 1)


def _judged(
    seeds: list[str], processes: int, alpha: float
) -> Iterator[tuple[Scores, Counter[str], list[str]]]:
    one = partial(judged, alpha=alpha)
    if processes == 1:
        yield from map(one, seeds)
        return
    with Pool(processes) as pool:
        yield from pool.imap_unordered(one, seeds, CHUNK)


def judged(seed: str, alpha: float) -> tuple[Scores, Counter[str], list[str]]:
    """Return the scores of all judges on one history, the causes that the farm gave, and what it got wrong."""
    history = draw(seed)
    runs = subject_runs(world(history, "subjects"))
    ours = judge(world(history, "ours"), runs, alpha)
    differences = first_seen(history, runs)
    retried = retry(world(history, "retry"), runs, differences)
    all_judged = (ours, problem_mode(history, runs), retried)
    scores = {
        (name, history.scenario): score(history, one, differences)
        for name, one in zip(JUDGES, all_judged, strict=True)
    }
    mine = scores[JUDGES[0], history.scenario]
    notes = []
    if mine.false or mine.wrong_cause or mine.wrong_time or mine.found < mine.real:
        notes.append(f"{seed} {history.scenario}: {mine}")
    causes = Counter(
        f"{verdict.cause.value}" + (" (incident)" if verdict.cause in CLAIMS else "")
        for _, verdict in ours.verdicts
    )
    return scores, causes, notes


def _findings(scores: Scores, causes: Counter[str], wrong: list[str], histories: int) -> Findings:
    totals = {
        name: sum((one for (judge_, _), one in scores.items() if judge_ == name), Score()) for name in JUDGES
    }
    ours, retried = totals["the farm"], totals["retry three times"]
    comparisons = tuple(
        comparison for name in JUDGES[1:] for comparison in _against(name, ours, totals[name])
    )
    cost = Comparison(
        "test executions per first-seen difference",
        Samples("the farm", "", (_ratio(ours.executions, ours.differences),)),
        Samples("retry three times", "", (_ratio(retried.executions, retried.differences),)),
        at_most(1.0),
    )
    figures = [sample for name, total in totals.items() for sample in _figures(name, total)]
    notes = [f"{histories} histories; verdicts of the farm: {dict(sorted(causes.items()))}"]
    notes += [f"{scenario}: {one}" for (name, scenario), one in sorted(scores.items()) if name == JUDGES[0]]
    return Findings((*comparisons, cost), tuple(figures), (*notes, *wrong[:60]))


def _against(name: str, ours: Score, theirs: Score) -> Iterator[Comparison]:
    yield Comparison(
        f"right claims of all claims, beside {name}",
        Samples("the farm", "", (_precision(ours),)),
        Samples(name, "", (_precision(theirs),)),
        at_least(1.0),
    )
    yield Comparison(
        f"real regressions found with the right cause, beside {name}",
        Samples("the farm", "", (_ratio(ours.found, ours.real),)),
        Samples(name, "", (_ratio(theirs.found, theirs.real),)),
        at_least(1.0),
    )


def _precision(one: Score) -> float:
    return _ratio(one.claims - one.false - one.wrong_cause - one.wrong_time, one.claims)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _figures(name: str, one: Score) -> Iterator[Samples]:
    def sample(what: str, value: float) -> Samples:
        return Samples(f"{name}: {what}", "", (value,))

    yield sample("claims", one.claims)
    yield sample("false incidents", one.false)
    yield sample("upper bound of the share of false incidents (95 %)", upper_bound(one.false, one.claims))
    yield sample("claims with the wrong cause", one.wrong_cause)
    yield sample("claims of a real one, with a baseline that had it already", one.wrong_time)
    yield sample("real regressions", one.real)
    yield sample("found with the right cause", one.found)
    yield sample("lower bound of that share (95 %)", lower_bound(one.found, one.real))
    yield sample("first-seen differences", one.differences)
    yield sample("test executions", one.executions)


if __name__ == "__main__":
    main()
