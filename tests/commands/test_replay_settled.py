"""When a head is settled, and how the farm's database says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybots.commands.replay.settled import HeadStanding, outcome
from pybots.interpreters.plan import TrackName

TRACK = TrackName("main", "default", "linux-x86_64-glibc")
WELL = HeadStanding(seen=True, interpreters={TRACK: "proven"}, runs=3)


@pytest.mark.parametrize(
    ("change", "settled", "last", "words"),
    [
        ({}, True, True, "settled"),
        ({"seen": False}, False, False, "the poller looks"),
        ({"interpreters": {TRACK: ""}, "unfinished_interpreters": 1}, False, False, "interpreters are made"),
        ({"interpreters": {}}, True, True, "settled"),
        ({"missing": ("a", "b")}, False, False, "2 runs to be planned"),
        ({"unfinished_runs": 1, "waiting": 2}, False, False, "1 run under way, 2 comparisons open"),
        ({"due": 1}, False, False, "1 comparison due"),
        ({"waiting": 1}, True, False, "1 comparison open"),
    ],
)
def test_settled(change: dict[str, object], settled: bool, last: bool, words: str) -> None:
    standing = replace(WELL, **change)  # type: ignore[arg-type]
    assert standing.settled(last=False) == settled
    assert standing.settled(last=True) == last
    assert standing.words() == words


def test_what_came_of_a_head() -> None:
    other = TrackName("main", "debug", "linux-x86_64-glibc")
    assert outcome(replace(WELL, interpreters={TRACK: "proven", other: "compile-failed"})) == (
        "compile-failed, proven"
    )
    assert outcome(HeadStanding(seen=True)) == "nothing was built"
