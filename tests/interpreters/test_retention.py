"""What stays in the store and what goes: the decision alone, told everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pybots.interpreters.retention import GRACE, Reason, StoredArtifact, retain

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def artifact(name: str, days: float, *files: int) -> StoredArtifact:
    return StoredArtifact(name, NOW - timedelta(days=days), files)


HISTORY = [artifact("d", 1, 0, 4), artifact("c", 2, 0, 3), artifact("b", 3, 0, 2), artifact("a", 4, 0, 1)]
SIZES = [100, 10, 10, 10, 10]


def test_the_newest_stay_for_which_there_is_room() -> None:
    """The file that all of them have counts once."""
    decided = retain(HISTORY, SIZES, {}, limit_bytes=120, now=NOW)
    assert decided.kept == {"d": Reason.ROOM, "c": Reason.ROOM}
    assert decided.removed == ("b", "a")
    assert decided.kept_bytes == 120


def test_what_something_rests_on_stays_whatever_it_takes() -> None:
    decided = retain(HISTORY, SIZES, {"a": Reason.LAST_GOOD, "b": Reason.INCIDENT}, limit_bytes=0, now=NOW)
    assert decided.kept == {"a": Reason.LAST_GOOD, "b": Reason.INCIDENT}
    assert decided.removed == ("d", "c")


def test_what_is_young_stays_whatever_it_takes() -> None:
    on_its_way = StoredArtifact("new", NOW - GRACE + timedelta(seconds=1), (0,))
    decided = retain([on_its_way, *HISTORY], SIZES, {}, limit_bytes=0, condemned={"new"}, now=NOW)
    assert decided.kept == {"new": Reason.YOUNG}


def test_an_older_one_does_not_stay_where_a_newer_one_has_to_go() -> None:
    large = StoredArtifact("large", NOW - timedelta(days=1.5), (5,))
    decided = retain([large, *HISTORY], [*SIZES, 1000], {}, limit_bytes=200, now=NOW)
    assert decided.kept == {"d": Reason.ROOM}
    assert decided.removed == ("large", "c", "b", "a")


def test_what_nothing_will_refer_to_goes_though_there_is_room() -> None:
    decided = retain(HISTORY, SIZES, {"a": Reason.IN_USE}, condemned={"a", "b"}, limit_bytes=1000, now=NOW)
    assert decided.removed == ("b",)


ARTIFACTS = st.lists(st.tuples(st.floats(0, 10), st.sets(st.integers(0, 9), max_size=6)), max_size=12).map(
    lambda found: [artifact(str(n), days, *sorted(files)) for n, (days, files) in enumerate(found)]
)


@given(
    ARTIFACTS,
    st.lists(st.integers(0, 50), min_size=10, max_size=10),
    st.sets(st.integers(0, 11).map(str)),
    st.sets(st.integers(0, 11).map(str)),
    st.integers(0, 300),
)
def test_always(
    artifacts: list[StoredArtifact], sizes: list[int], roots: set[str], condemned: set[str], limit: int
) -> None:
    reasons = dict.fromkeys(roots, Reason.LAST_GOOD)
    decided = retain(artifacts, sizes, reasons, condemned=condemned, limit_bytes=limit, now=NOW)
    by_name = {each.digest: each for each in artifacts}
    assert {*decided.kept, *decided.removed} == by_name.keys()
    assert not decided.kept.keys() & set(decided.removed)
    assert not roots & set(decided.removed)
    assert all(by_name[name].taken_in <= NOW - GRACE for name in decided.removed)
    there = {number for name in decided.kept for number in by_name[name].files}
    assert decided.kept_bytes == sum(sizes[number] for number in there)
    for_room = [by_name[name] for name, reason in decided.kept.items() if reason is Reason.ROOM]
    if for_room:
        assert decided.kept_bytes <= limit
        oldest = min(each.taken_in for each in for_room)
        assert all(by_name[name].taken_in <= oldest or name in condemned for name in decided.removed)
    assert not condemned & {each.digest for each in for_room}
