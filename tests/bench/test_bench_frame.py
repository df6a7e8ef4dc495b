"""The arithmetic of the benches, and what their command line says."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench.command import bench, number
from bench.figures import Comparison, Findings, Samples, at_least, at_most
from bench.interleave import in_turn, seconds


def samples(*values: float) -> Samples:
    return Samples("results", "/s", values)


def test_the_ratio_is_taken_pair_by_pair() -> None:
    # The machine was ten times slower for the second pair: neither its ratio nor the median of ratios moves.
    comparison = Comparison("a", samples(100, 10, 110), samples(10, 1, 10))
    assert comparison.ratio.values == (10, 10, 11)
    assert comparison.ratio.median == 10


def test_unequal_numbers_of_measurements_compare_by_their_medians() -> None:
    assert Comparison("a", samples(1, 2, 30), samples(4)).ratio.values == (0.5,)


def test_a_peer_that_needs_nothing_cannot_be_beaten() -> None:
    assert Comparison("a", samples(1), samples(0), at_most(2)).met is False


@pytest.mark.parametrize(
    ("aim", "ratio", "met"),
    [
        (at_least(50), 50, True),
        (at_least(50), 49.9, False),
        (at_most(1.05), 1.05, True),
        (at_most(1), 2, False),
    ],
)
def test_aims(aim: object, ratio: float, met: bool) -> None:
    assert Comparison("a", samples(ratio), samples(1), aim).met is met  # type: ignore[arg-type]


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was measured of 'x'"):
        Samples("x", "s", ())


def test_measures_take_turns() -> None:
    order: list[str] = []

    def noting(name: str, value: float) -> float:
        order.append(name)
        return value

    found = in_turn({"ours": lambda: noting("ours", 1), "peer": lambda: noting("peer", 2)}, 3)
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert found == {"ours": (1, 1, 1), "peer": (2, 2, 2)}


def test_seconds_are_measured() -> None:
    assert seconds(lambda: None) >= 0


def a_bench(ratio: float) -> click.Command:
    @bench("example")
    def measure() -> Findings:
        """Measure nothing."""
        made = Comparison("it", samples(ratio, ratio), samples(1, 1), at_least(50))
        return Findings((made,), (samples(1234.5),), ("a note",))

    return measure


@pytest.mark.parametrize(
    ("ratio", "options", "status"), [(60, [], 0), (40, [], 0), (60, ["--require"], 0), (40, ["--require"], 1)]
)
def test_only_who_requires_an_aim_is_told_no(ratio: float, options: list[str], status: int) -> None:
    assert CliRunner().invoke(a_bench(ratio), options).exit_code == status


def test_what_is_printed_and_what_is_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(a_bench(40), ["--json", str(tmp_path / "out.json")])
    assert "ratio 40 (median of 2, 40 to 40); aim at least 50: NOT MET" in done.output
    assert "results: 1,234 /s" in done.output
    assert "note: a note" in done.output
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts["bench"] == "example"
    assert facts["met"] is False
    assert facts["comparisons"][0]["ratio"]["median"] == 40
    assert {"cores", "cpython", "sqlite", "begin", "end"} <= facts["machine"].keys()


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.01234"), (12.3456, "12.35"), (4500.4, "4,500")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
