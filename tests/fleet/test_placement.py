"""Which worker may take which request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pybots.fleet.placement import ANYWHERE, KEPT_FOR, Answer, Kept, Placement, answer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
YES, NO, KEEP = Answer(takes=True), Answer(takes=False), Answer(takes=False, keep=True)
ON_A = Placement(on_worker="a-1")
IDLE = Placement(on_worker="a-1", machine_idle=True)


@pytest.mark.parametrize(
    ("placement", "worker", "expected"),
    [
        (ANYWHERE, "a-1", YES),
        (ON_A, "a-1", YES),
        (ON_A, "a-2", NO),
        (Placement(not_on=frozenset({"a-1"})), "a-1", NO),
        (Placement(not_on=frozenset({"a-1"})), "b", YES),
        (IDLE, "a-1", YES),
    ],
)
def test_where_nothing_else_is_under_way(placement: Placement, worker: str, expected: Answer) -> None:
    said = answer(placement, 1, worker, beside=["a-2"], under_way={}, kept=None, now=NOW)
    assert said == expected


@pytest.mark.parametrize(
    ("placement", "beside_wants_it_idle", "expected"),
    [
        (ANYWHERE, False, YES),
        (ANYWHERE, True, NO),
        (ON_A, True, NO),
        (IDLE, False, KEEP),
        (IDLE, True, NO),
        (Placement(machine_idle=True), False, NO),
    ],
)
def test_where_the_machine_does_something(
    placement: Placement, beside_wants_it_idle: bool, expected: Answer
) -> None:
    """One that wants it idle waits, and has the machine kept for it; while it runs, nothing else begins."""
    busy = {"a-2": beside_wants_it_idle, "b": True}
    assert answer(placement, 1, "a-1", beside=["a-2"], under_way=busy, kept=None, now=NOW) == expected


@pytest.mark.parametrize(
    ("request_number", "when", "expected"),
    [(1, NOW, YES), (2, NOW, NO), (2, NOW + KEPT_FOR, YES), (2, NOW + KEPT_FOR - timedelta(seconds=1), NO)],
)
def test_a_machine_that_is_kept_takes_nothing_else(
    request_number: int, when: datetime, expected: Answer
) -> None:
    kept = Kept(1, NOW + KEPT_FOR)
    placement = IDLE if request_number == 1 else ANYWHERE
    assert (
        answer(placement, request_number, "a-1", beside=["a-2"], under_way={}, kept=kept, now=when)
        == expected
    )
