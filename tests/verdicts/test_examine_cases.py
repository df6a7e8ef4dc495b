"""The named cases: what `examine` says of each, and what it asks on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from pybots.verdicts.evidence import (
    SUBJECT,
    WHOLE_RUN,
    Axis,
    Comparison,
    Difference,
    Kind,
    Showing,
    Stretch,
    Trial,
    WantedTrial,
)
from pybots.verdicts.examine import examine
from pybots.verdicts.verdict import CLAIMS, Cause, Examination, Verdict

I, D, P = Axis.INTERPRETER, Axis.DEPENDENCY, Axis.PROJECT  # noqa: E741
ALPHA = 1e-4
ONLY_INTERPRETER = frozenset({I})
ALL = frozenset(Axis)
STEADY = (Stretch(Showing.AGREES, 20, 20),)
ONE_IN_FIVE = tuple(
    Stretch(shows, runs, place)
    for shows, runs, place in [
        (Showing.AGREES, 4, 4),
        (Showing.DIFFERS, 1, 5),
        (Showing.AGREES, 6, 11),
        (Showing.DIFFERS, 2, 13),
        (Showing.AGREES, 7, 20),
    ]
)

Bad = Callable[[WantedTrial, int], bool]
"""Whether an item is bad in a trial; the number counts that item's trials."""


@dataclass
class Executor:
    """Carries out what is wanted: each item is bad where its rule says so."""

    rules: Mapping[str, Bad]
    lost_on: frozenset[str] = frozenset()
    gone: frozenset[Axis] = frozenset()
    selects: bool = True
    trials: list[Trial] = field(default_factory=list)
    wanted: list[WantedTrial] = field(default_factory=list)

    def carry_out(self, wanted: WantedTrial) -> Trial:
        assert wanted.serial == len(self.trials)
        worker = wanted.worker or next(name for name in ("w2", "w1") if name not in wanted.not_on)
        self.wanted.append(wanted)
        lost, gone = worker in self.lost_on, bool(wanted.back & self.gone)
        shows = {
            item: Showing.UNKNOWN if lost or gone else self._showing(item, replace(wanted, worker=worker))
            for item in wanted.items
        }
        key = f"t{len(self.trials)}"
        alone = wanted.alone and self.selects
        trial = Trial(key, wanted.back, worker, alone, shows, judged=not lost, unfetchable=gone)
        self.trials.append(trial)
        return trial

    def _showing(self, item: str, wanted: WantedTrial) -> Showing:
        bad = self.rules[item](wanted, sum(item in trial.shows for trial in self.trials))
        return Showing.DIFFERS if bad else Showing.AGREES


def judge(comparison: Comparison, executor: Executor) -> dict[str, Verdict]:
    """Ask and carry out until nothing more is wanted; return what was said, by item."""
    said: dict[str, Verdict] = {}
    for _ in range(400):
        found = examine(comparison, executor.trials, (), ALPHA, tuple(said.values()))
        said |= {verdict.item: verdict for verdict in found.verdicts}
        if not found.wants:
            return said
        for wanted in found.wants:
            executor.carry_out(wanted)
    raise AssertionError("it does not come to an end")


def compare(
    *names: str,
    kind: Kind = Kind.FAILED,
    history: tuple[Stretch, ...] = STEADY,
    moved: frozenset[Axis] = ONLY_INTERPRETER,
    later: tuple[Showing, ...] = (),
    others: tuple[str, ...] = ("w2",),
    more_expected: bool = False,
    signature: str = "s",
) -> Comparison:
    differences = tuple(Difference(name, kind, signature, history, later) for name in names)
    return Comparison("w1", moved, differences, others, more_expected, suite_tests=100)


def breaks_with(axis: Axis) -> Bad:
    return lambda wanted, _: axis not in wanted.back


def never(_: WantedTrial, __: int) -> bool:
    return False


def always(_: WantedTrial, __: int) -> bool:
    return True


@pytest.mark.parametrize(
    "kind",
    [Kind.FAILED, Kind.ERROR, Kind.SKIPPED, Kind.VANISHED, Kind.UNEXPECTED_PASS],
)
def test_a_test_that_the_interpreter_broke(kind: Kind) -> None:
    executor = Executor({"t": breaks_with(I)})
    verdict = judge(compare("t", kind=kind), executor)["t"]
    assert (verdict.cause, verdict.axes) == (Cause.INTERPRETER, (I,))
    assert verdict.chance <= ALPHA
    assert len(executor.trials) == 10
    assert {trial.worker for trial in executor.trials} == {"w1"}
    assert all(wanted.alone for wanted in executor.wanted)


@pytest.mark.parametrize(
    ("kind", "alone"),
    [
        (Kind.INSTALL_FAILED, True),
        (Kind.ENVIRONMENT_FAILED, True),
        (Kind.COLLECTION_FAILED, True),
        (Kind.CRASHED, True),
        (Kind.TIMED_OUT, True),
        (Kind.SUITE_SKIPPED, True),
        (Kind.NO_TESTS, False),
        (Kind.REPORT_INVALID, False),
    ],
)
def test_a_run_that_the_interpreter_broke_as_a_whole(kind: Kind, alone: bool) -> None:
    executor = Executor({WHOLE_RUN: breaks_with(I)})
    verdict = judge(compare(WHOLE_RUN, kind=kind), executor)[WHOLE_RUN]
    assert verdict.cause is Cause.INTERPRETER
    assert not verdict.only_together
    assert {wanted.alone for wanted in executor.wanted} == {alone}
    assert {wanted.machine_idle for wanted in executor.wanted} == {kind is Kind.TIMED_OUT}


def test_subject_and_control_are_interleaved_and_do_not_merely_alternate() -> None:
    executor = Executor({"t": breaks_with(I)})
    judge(compare("t"), executor)
    order = "".join("C" if wanted.back else "S" for wanted in executor.wanted)
    assert order == "SCCSCSSCCS"


@pytest.mark.parametrize(
    ("broken", "cause", "axes", "words"),
    [
        ({I}, Cause.INTERPRETER, (I,), ""),
        ({D}, Cause.DEPENDENCY, (D,), ""),
        ({P}, Cause.PROJECT, (P,), ""),
        ({I, P}, Cause.INTERPRETER, (I, P), "only together"),
        ({I, D, P}, Cause.INTERPRETER, (I, D, P), "only together"),
    ],
)
def test_several_axes_moved(broken: set[Axis], cause: Cause, axes: tuple[Axis, ...], words: str) -> None:
    executor = Executor({"t": lambda wanted, _: not broken & wanted.back})
    verdict = judge(compare("t", moved=ALL), executor)["t"]
    assert (verdict.cause, verdict.axes) == (cause, axes)
    assert words in verdict.reason


@pytest.mark.parametrize("either", [{I, P}, {D, P}, {I, D, P}])
def test_each_of_several_axes_suffices(either: set[Axis]) -> None:
    executor = Executor({"t": lambda wanted, _: bool(either - wanted.back)})
    verdict = judge(compare("t", moved=ALL), executor)["t"]
    assert set(verdict.axes) == either
    assert "each of them alone" in verdict.reason


def test_two_independent_breaks_in_one_run() -> None:
    comparison = replace(
        compare("a", "b", "c", moved=ALL),
        differences=(
            Difference("a", Kind.FAILED, "s1", STEADY),
            Difference("b", Kind.FAILED, "s2", STEADY),
            Difference("c", Kind.FAILED, "s3", ONE_IN_FIVE),
        ),
    )
    executor = Executor({"a": breaks_with(I), "b": breaks_with(D), "c": never})
    said = judge(comparison, executor)
    assert {item: verdict.cause for item, verdict in said.items()} == {
        "a": Cause.INTERPRETER,
        "b": Cause.DEPENDENCY,
        "c": Cause.FLAKY,
    }
    assert not any("c" in wanted.items for wanted in executor.wanted)


def test_what_passes_alone_waits_for_the_next_run_and_then_is_flaky() -> None:
    executor = Executor({"t": never})
    comparison = compare("t", more_expected=True)
    assert judge(comparison, executor) == {}
    assert len(executor.trials) == 1
    assert examine(comparison, executor.trials, (), ALPHA).waits_for_later
    verdict = judge(compare("t", later=(Showing.AGREES,)), executor)["t"]
    assert verdict.cause is Cause.FLAKY
    assert verdict.rate is not None
    assert len(executor.trials) == 1


def test_what_passes_alone_and_is_not_expected_again_has_its_suite_run() -> None:
    executor = Executor({"t": never})
    assert judge(compare("t"), executor)["t"].cause is Cause.FLAKY
    assert [wanted.alone for wanted in executor.wanted] == [True] * 5 + [False]


def test_what_fails_only_together_is_recognised() -> None:
    executor = Executor({"t": lambda wanted, _: not wanted.alone and I not in wanted.back})
    later = (Showing.DIFFERS,) * 3
    verdict = judge(compare("t", later=later, more_expected=True), executor)["t"]
    assert (verdict.cause, verdict.only_together) == (Cause.INTERPRETER, True)
    assert "whole suite" in verdict.reason


def test_a_known_flake_costs_nothing() -> None:
    executor = Executor({"t": always})
    assert judge(compare("t", history=ONE_IN_FIVE, more_expected=True), executor) == {}
    assert judge(compare("t", history=ONE_IN_FIVE), executor)["t"].cause is Cause.FLAKY
    agrees = (Showing.AGREES,)
    said = judge(compare("t", history=ONE_IN_FIVE, later=agrees, more_expected=True), executor)
    assert said["t"].cause is Cause.FLAKY
    assert executor.trials == []


def test_a_known_flake_that_broke_is_seen_by_its_failures() -> None:
    executor = Executor({"t": breaks_with(I)})
    later = (Showing.DIFFERS,) * 3
    verdict = judge(compare("t", history=ONE_IN_FIVE, later=later, more_expected=True), executor)["t"]
    assert verdict.cause is Cause.INTERPRETER


def test_a_rare_flake_with_a_clean_past_costs_one_trial() -> None:
    executor = Executor({"t": lambda _, number: number == 49})
    verdict = judge(compare("t", later=(Showing.AGREES,)), executor)["t"]
    assert verdict.cause is Cause.FLAKY
    assert len(executor.trials) == 1


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_what_comes_and_goes_at_subject_and_control_is_flaky(seed: int, rate: float) -> None:
    random = Random(seed)
    executor = Executor({"t": lambda _, __: random.random() < rate})
    assert judge(compare("t", others=()), executor)["t"].cause in {Cause.FLAKY, Cause.UNDECIDED}


@pytest.mark.parametrize("period", [2, 3, 4, 5])
def test_what_fails_every_so_many_runs_whatever_is_put_back_is_no_regression(period: int) -> None:
    executor = Executor({"t": lambda _, number: number % period == 0})
    assert judge(compare("t"), executor)["t"].cause not in CLAIMS


def test_a_flaky_regression_is_found_though_it_does_not_always_show() -> None:
    executor = Executor({"t": lambda wanted, number: I not in wanted.back and number % 7 != 3})
    verdict = judge(compare("t"), executor)["t"]
    assert verdict.cause is Cause.INTERPRETER


def test_a_worker_with_a_fault() -> None:
    executor = Executor({name: lambda wanted, _: wanted.worker == "w1" for name in ("t", "u")})
    said = judge(compare("t", "u"), executor)
    assert {verdict.cause for verdict in said.values()} == {Cause.WORKER}
    assert said["u"].representative == "t"
    assert len(executor.trials) == 4


@pytest.mark.parametrize("others", [(), ("w2",)])
def test_the_world_changed(others: tuple[str, ...]) -> None:
    executor = Executor({"t": always})
    verdict = judge(compare("t", others=others), executor)["t"]
    assert verdict.cause is Cause.UNDECIDED
    assert "freezes" in verdict.reason


def test_a_new_test_that_fails_with_the_baseline_too_is_quiet() -> None:
    executor = Executor({"t": always})
    verdict = judge(compare("t", history=()), executor)["t"]
    assert verdict.cause is Cause.UNDECIDED
    assert "new" in verdict.reason
    assert len(executor.trials) == 2


def test_a_new_test_that_fails_with_the_new_interpreter_only() -> None:
    executor = Executor({"t": breaks_with(I)})
    assert judge(compare("t", history=()), executor)["t"].cause is Cause.INTERPRETER


def test_members_are_tried_once_at_subject_and_control() -> None:
    names = [f"t{number:02}" for number in range(10)]
    executor = Executor({name: breaks_with(I) for name in names})
    said = judge(compare(*names), executor)
    assert {verdict.cause for verdict in said.values()} == {Cause.INTERPRETER}
    assert [verdict.item for verdict in said.values() if verdict.representative is None] == ["t00"]
    assert len(executor.trials) == 12
    assert executor.wanted[-1].items == tuple(names[1:])


def test_most_of_a_suite_is_run_as_a_suite() -> None:
    names = [f"t{number:02}" for number in range(80)]
    executor = Executor({name: breaks_with(I) for name in names})
    said = judge(compare(*names), executor)
    assert {verdict.cause for verdict in said.values()} == {Cause.INTERPRETER}
    assert [wanted.alone for wanted in executor.wanted[-2:]] == [False, False]


def test_a_member_that_does_not_follow_goes_its_own_way() -> None:
    executor = Executor({"a": breaks_with(I), "b": breaks_with(I), "c": always, "d": never})
    said = judge(compare("a", "b", "c", "d"), executor)
    assert {item: verdict.cause for item, verdict in said.items()} == {
        "a": Cause.INTERPRETER,
        "b": Cause.INTERPRETER,
        "c": Cause.UNDECIDED,
        "d": Cause.FLAKY,
    }
    assert said["c"].representative is None


def test_a_worker_that_is_lost_gives_way_to_another_one() -> None:
    executor = Executor({"t": breaks_with(I)}, lost_on=frozenset({"w1"}))
    verdict = judge(compare("t"), executor)["t"]
    assert verdict.cause is Cause.INTERPRETER
    assert {trial.worker for trial in executor.trials if trial.judged} == {"w2"}
    assert "w2" in verdict.reason


def test_no_worker_at_all() -> None:
    executor = Executor({"t": always}, lost_on=frozenset({"w1", "w2"}))
    assert judge(compare("t"), executor)["t"].cause is Cause.UNDECIDED


def test_a_subject_that_could_not_be_judged_is_run_again_elsewhere() -> None:
    comparison = replace(compare(WHOLE_RUN, kind=Kind.FETCH_FAILED), judged=False)
    executor = Executor({WHOLE_RUN: never}, lost_on=frozenset({"w1"}))
    assert judge(comparison, executor)[WHOLE_RUN].cause is Cause.WORKER
    assert [trial.worker for trial in executor.trials] == ["w2"]
    dead = Executor({WHOLE_RUN: never}, lost_on=frozenset({"w1", "w2"}))
    assert judge(comparison, dead)[WHOLE_RUN].cause is Cause.UNDECIDED


def test_a_baseline_that_is_gone() -> None:
    executor = Executor({"t": breaks_with(I)}, gone=frozenset({I}))
    assert judge(compare("t"), executor)["t"].cause is Cause.UNDECIDED


def test_a_project_and_its_dependencies_that_only_go_together() -> None:
    """Neither can be put back alone; both together can, and tell that the interpreter is it."""

    class Both(Executor):
        def _showing(self, item: str, wanted: WantedTrial) -> Showing:
            if len(wanted.back & {D, P}) == 1:
                return Showing.UNKNOWN
            return super()._showing(item, wanted)

    verdict = judge(compare("t", moved=ALL), Both({"t": breaks_with(I)}))["t"]
    assert (verdict.cause, verdict.axes) == (Cause.INTERPRETER, (I,))


def test_a_runner_that_cannot_select_tests() -> None:
    executor = Executor({"t": breaks_with(I)}, selects=False)
    verdict = judge(compare("t"), executor)["t"]
    assert (verdict.cause, verdict.only_together) == (Cause.INTERPRETER, False)


def test_nothing_that_could_be_put_back_moved() -> None:
    executor = Executor({"t": always})
    assert judge(compare("t", moved=frozenset()), executor)["t"].cause is Cause.UNDECIDED


def test_while_a_trial_is_under_way_nothing_is_said_or_asked() -> None:
    comparison = compare("t")
    (wanted,) = examine(comparison, (), (), ALPHA).wants
    assert wanted == WantedTrial(SUBJECT, ("t",), alone=True, serial=0, worker="w1")
    assert examine(comparison, (), (wanted,), ALPHA) == Examination()


def test_what_was_said_stands() -> None:
    comparison = compare("t", "u")
    executor = Executor({"t": breaks_with(I), "u": breaks_with(I)})
    said = judge(comparison, executor)
    assert examine(comparison, executor.trials, (), ALPHA, tuple(said.values())) == Examination()
