"""Whatever trials show: an examination ends, does not depend on their order, and claims nothing without a pair."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pybots.verdicts.evidence import (
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
from pybots.verdicts.item import ITEM_LIMIT
from pybots.verdicts.verdict import CLAIMS, Verdict

ALPHA = 1e-4
# What is found is small already, and shrinking it takes many whole examinations.
NO_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
SHOWINGS = st.sampled_from([Showing.AGREES, Showing.DIFFERS])
STRETCHES = st.lists(st.tuples(SHOWINGS, st.integers(1, 30)), max_size=8)
KINDS = st.sampled_from([Kind.FAILED, Kind.FAILED, Kind.SKIPPED])
WHOLE = st.sampled_from([Kind.CRASHED, Kind.INSTALL_FAILED, Kind.SUITE_SKIPPED, Kind.NO_TESTS])


@st.composite
def differences(draw: st.DrawFn) -> tuple[Difference, ...]:
    names = draw(st.lists(st.sampled_from([WHOLE_RUN, "a", "b", "c", "d"]), min_size=1, unique=True))
    found = []
    for name in names:
        history = tuple(Stretch(shows, runs, place) for place, (shows, runs) in enumerate(draw(STRETCHES), 1))
        kind = draw(WHOLE if name == WHOLE_RUN else KINDS)
        signature = draw(st.sampled_from(["s", "t"]))
        later = tuple(draw(st.lists(SHOWINGS, max_size=4)))
        found.append(Difference(name, kind, signature, history, later))
    return tuple(found)


COMPARISONS = st.builds(
    Comparison,
    worker=st.just("w1"),
    moved=st.frozensets(st.sampled_from(list(Axis))),
    differences=differences(),
    others=st.sampled_from([(), ("w2",), ("w2", "w3")]),
    more_expected=st.booleans(),
    suite_tests=st.sampled_from([1, 4, 100]),
    judged=st.sampled_from([True, True, True, False]),
)


@dataclass
class Chance:
    """Carries trials out in a world of arbitrary rates, lost workers and things that are gone."""

    comparison: Comparison
    seed: int
    reliable: bool

    def carry_out(self, wanted: WantedTrial) -> Trial:
        random = Random(f"{self.seed} {wanted.serial}")
        workers = [self.comparison.worker, *self.comparison.others]
        worker = wanted.worker or next((name for name in workers if name not in wanted.not_on), "w9")
        lost = not self.reliable and random.random() < 0.1
        gone = not self.reliable and bool(wanted.back) and Random(f"{self.seed} gone").random() < 0.1
        shows = {item: self._showing(item, wanted, worker, random) for item in wanted.items}
        if lost or gone:
            shows = dict.fromkeys(wanted.items, Showing.UNKNOWN)
        return Trial(
            f"t{wanted.serial}", wanted.back, worker, wanted.alone, shows, judged=not lost, unfetchable=gone
        )

    def _showing(self, item: str, wanted: WantedTrial, worker: str, random: Random) -> Showing:
        what = f"{self.seed} {item} {sorted(wanted.back)} {wanted.alone} {worker == 'w1'}"
        rate = Random(what).choice([0.0, 0.0, 0.3, 0.5, 0.9, 1.0, 1.0])
        if not self.reliable and random.random() < 0.1:
            return Showing.UNKNOWN
        return Showing.DIFFERS if random.random() < rate else Showing.AGREES


def carried_to_its_end(chance: Chance) -> tuple[dict[str, Verdict], list[Trial], bool]:
    said: dict[str, Verdict] = {}
    trials: list[Trial] = []
    while True:
        found = examine(chance.comparison, trials, (), ALPHA, tuple(said.values()))
        assert not {verdict.item for verdict in found.verdicts} & set(said)
        said |= {verdict.item: verdict for verdict in found.verdicts}
        assert [wanted.serial for wanted in found.wants] == list(
            range(len(trials), len(trials) + len(found.wants))
        )
        if not found.wants:
            return said, trials, found.waits_for_later
        trials += [chance.carry_out(wanted) for wanted in found.wants]
        assert len(trials) <= (ITEM_LIMIT + 20) * len(chance.comparison.differences)


@settings(max_examples=100, deadline=None, phases=NO_SHRINKING)
@given(COMPARISONS, st.integers(0, 10_000), st.booleans())
def test_it_comes_to_an_end_and_claims_rest_on_a_pair(
    comparison: Comparison, seed: int, reliable: bool
) -> None:
    said, trials, waits = carried_to_its_end(Chance(comparison, seed, reliable))
    if not waits:
        assert set(said) == {difference.item for difference in comparison.differences}
    for verdict in said.values():
        if verdict.cause in CLAIMS:
            assert verdict.chance <= ALPHA
            assert verdict.axes
            assert set(verdict.axes) <= comparison.moved
            assert one_axis_apart(comparison, trials, verdict.item)


@settings(max_examples=50, deadline=None, phases=NO_SHRINKING)
@given(COMPARISONS, st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_in_which_trials_arrive_does_not_matter(
    comparison: Comparison, seed: int, random: Random
) -> None:
    _, trials, _ = carried_to_its_end(Chance(comparison, seed, reliable=False))
    for count in {0, 1, 3, len(trials) // 2, len(trials)}:
        some = trials[:count]
        shuffled = random.sample(some, len(some))
        assert examine(comparison, some, (), ALPHA) == examine(comparison, shuffled, (), ALPHA)


@pytest.mark.parametrize("seed", range(60))
def test_the_same_rate_at_subject_and_control_is_never_claimed(seed: int) -> None:
    random = Random(seed)
    rate = random.choice([0.02, 0.2, 0.5, 0.8])
    history = (Stretch(Showing.AGREES, random.randint(1, 40), 1),)
    comparison = Comparison(
        "w1", frozenset({Axis.INTERPRETER}), (Difference("a", Kind.FAILED, "s", history),), ("w2",)
    )
    said: list[Verdict] = []
    trials: list[Trial] = []
    while not said:
        found = examine(comparison, trials, (), ALPHA)
        said += found.verdicts
        for wanted in found.wants:
            shows = Showing.DIFFERS if random.random() < rate else Showing.AGREES
            worker = wanted.worker or "w2"
            trials.append(Trial(f"t{wanted.serial}", wanted.back, worker, wanted.alone, {"a": shows}))
    assert said[0].cause not in CLAIMS


def one_axis_apart(comparison: Comparison, trials: list[Trial], item: str) -> bool:
    """Say whether a bad trial and a good one on one worker, in one manner, differ on one axis."""

    def backs(shows: Showing) -> set[tuple[frozenset[Axis], str, bool]]:
        told = [trial for trial in trials if trial.judged and trial.shows.get(item) is shows]
        return {(trial.back, trial.worker, trial.alone) for trial in told}

    return any(
        (back | {axis}, worker, alone) in backs(Showing.AGREES)
        for back, worker, alone in backs(Showing.DIFFERS)
        for axis in comparison.moved - back
    )
