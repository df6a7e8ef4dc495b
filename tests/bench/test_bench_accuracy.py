"""The accuracy bench at a small size: it tells right from wrong, and the farm is right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from bench import accuracy
from bench.accuracy_farm import Claim, Judged, judge
from bench.accuracy_history import SCENARIOS, Break, Flake, History, draw, read, write
from bench.accuracy_past import subject_runs
from bench.accuracy_peers import first_seen, problem_mode, retry
from bench.accuracy_score import Score, lower_bound, score, upper_bound
from bench.accuracy_world import World
from pybots.verdicts.evidence import Axis

ALPHA = 1e-4
PLAIN = History("plain", "interpreter", 0, 40, 20, ("w1",) * 40, (0,), (0,), (), (), ())
BROKEN = Break((Axis.INTERPRETER.value,), 20, ("t001", "t002"), "failed")


def judged(history: History) -> tuple[Score, Score, Score]:
    runs = subject_runs(World(history, Random("subjects")))
    differences = first_seen(history, runs)
    all_judged = (
        judge(World(history, Random("ours")), runs, ALPHA),
        problem_mode(history, runs),
        retry(World(history, Random("retry")), runs, differences),
    )
    ours, problem, retried = (score(history, one, differences) for one in all_judged)
    return ours, problem, retried


def test_a_plain_break_is_found_by_all() -> None:
    ours, problem, retried = judged(replace(PLAIN, breaks=(BROKEN,)))
    assert (ours.real, ours.found, ours.claims, ours.false) == (1, 1, 1, 0)
    assert (problem.found, retried.found) == (1, 1)
    assert ours.executions == 10 + 2
    assert retried.executions == 6


def test_an_own_change_is_the_interpreters_for_the_peers_alone() -> None:
    own = replace(BROKEN, axes=(Axis.PROJECT.value,))
    ours, problem, retried = judged(replace(PLAIN, breaks=(own,), projects=(0, 20)))
    assert (ours.found, ours.wrong_cause) == (1, 0)
    assert (problem.found, problem.wrong_cause) == (0, 1)
    assert (retried.found, retried.wrong_cause) == (0, 1)


def test_a_flake_is_nobodys() -> None:
    known = replace(PLAIN, past=40, heads=100, workers=("w1",) * 100)
    flakes = tuple(Flake(f"t{number:03}", "independent", 0.02 * (number + 1)) for number in range(12))
    ours, problem, retried = judged(replace(known, flakes=flakes))
    assert ours.claims == 0
    assert problem.false > 5
    assert ours.executions < retried.executions


def test_a_break_that_another_one_hides_does_not_count() -> None:
    gone = replace(BROKEN, axes=(Axis.PROJECT.value,), kind="vanished")
    ours, _, _ = judged(replace(PLAIN, breaks=(BROKEN, gone), projects=(0, 20)))
    assert ours.real == 1


def test_a_claim_that_names_the_wrong_time_test_or_cause_is_wrong() -> None:
    history = replace(PLAIN, breaks=(BROKEN,))
    late = Judged([Claim(25, 24, ("t001",), frozenset({Axis.INTERPRETER}))])
    other = Judged([Claim(20, 19, ("t009",), frozenset({Axis.INTERPRETER}))])
    wrong = Judged([Claim(20, 19, ("t001",), frozenset({Axis.PROJECT}))])
    assert (score(history, late, ()).false, score(history, late, ()).wrong_time) == (0, 1)
    assert score(history, other, ()).false == 1
    assert score(history, wrong, ()).wrong_cause == 1


def test_a_suite_that_skips_everything_may_show_test_by_test() -> None:
    history = replace(PLAIN, breaks=(replace(BROKEN, tests=(), kind="suite-skipped"),))
    claim = Claim(20, 19, ("t001",), frozenset({Axis.INTERPRETER}), "skipped")
    assert score(history, Judged([claim]), ()).false == 0
    assert score(history, Judged([replace(claim, kind="failed")]), ()).false == 1


@pytest.mark.parametrize(
    ("bad", "of", "bound"), [(0, 100, 0.0295), (0, 0, 1.0), (1, 100, 0.0466), (3, 3, 1.0)]
)
def test_the_upper_bound_is_clopper_and_pearsons(bad: int, of: int, bound: float) -> None:
    assert upper_bound(bad, of) == pytest.approx(bound, abs=1e-3)
    assert lower_bound(of - bad, of) == pytest.approx(1 - bound, abs=1e-3)


def test_a_history_is_data(tmp_path: Path) -> None:
    for number in range(20):
        history = draw(f"t:{number}")
        write(history, tmp_path / "history.json")
        assert read(tmp_path / "history.json") == history
        assert draw(f"t:{number}") == history


def test_all_scenarios_are_drawn() -> None:
    assert {draw(f"s:{number}").scenario for number in range(200)} == set(SCENARIOS)


def test_the_bench_runs_and_the_farm_claims_nothing_false(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = CliRunner().invoke(accuracy.main, ["--histories", "25", "--seed", "small", "--json", str(out)])
    assert done.exit_code == 0, done.output
    figures = {figure["what"]: figure["median"] for figure in json.loads(out.read_text())["figures"]}
    assert figures["the farm: false incidents"] == 0
    assert figures["the farm: claims with the wrong cause"] == 0
    assert figures["the farm: found with the right cause"] >= 0.9 * figures["the farm: real regressions"]
    assert figures["problem mode: false incidents"] > 100


def test_one_history_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    done = CliRunner().invoke(accuracy.main, ["--seed", "small", "--write-history", "3", str(file)])
    assert done.exit_code == 0, done.output
    assert read(file) == draw("small:3")
