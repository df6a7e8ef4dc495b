from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.commits.classify import Touches
from pybots.commits.select import NewCommit, Selection, select, superseded_before

BUILD, INHERIT, NOT_BUILT = Selection.BUILD, Selection.INHERIT, Selection.NOT_BUILT
LETTERS = {"d": Touches.DOCUMENTATION, "t": Touches.TESTS, "l": Touches.LIBRARY, "n": Touches.NATIVE}
SHORT = {BUILD: "B", INHERIT: "i", NOT_BUILT: "-"}


def commits(letters: str) -> list[NewCommit]:
    return [NewCommit(f"{number:040x}", LETTERS[letter]) for number, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("letters", "waiting", "beyond", "selected"),
    [
        ("", 0, 8, ""),
        ("n", 0, 1, "B"),
        ("dd", 0, 1, "ii"),
        ("dd", 99, 1, "ii"),
        ("tlnd", 0, 3, "BBBi"),
        ("tlnd", 1, 3, "--Bi"),
        ("dnd", 50, 8, "iBi"),
        ("nnnn", 0, 3, "---B"),
        ("nn", -5, 2, "BB"),
    ],
)
def test_table(letters: str, waiting: int, beyond: int, selected: str) -> None:
    answer = select(commits(letters), waiting=waiting, newest_only_beyond=beyond)
    assert "".join(SHORT[selection] for _, selection in answer) == selected


@given(st.text("dtln", max_size=60), st.integers(0, 40), st.integers(1, 40))
def test_laws(letters: str, waiting: int, beyond: int) -> None:
    new = commits(letters)
    answer = select(new, waiting=waiting, newest_only_beyond=beyond)
    assert [sha for sha, _ in answer] == [commit.sha for commit in new]
    for commit, (_, selection) in zip(new, answer, strict=True):
        assert (selection is INHERIT) == (commit.touches is Touches.DOCUMENTATION)
    worth_building = [selection for _, selection in answer if selection is not INHERIT]
    if worth_building:
        assert worth_building[-1] is BUILD
    built = worth_building.count(BUILD)
    assert built in {len(worth_building), 1}
    if waiting + len(worth_building) <= beyond:
        assert built == len(worth_building)
    elif worth_building:
        assert built == 1


@pytest.mark.parametrize(
    ("letters", "selected"),
    [("", ""), ("n", "B"), ("nnl", "--B"), ("dd", "ii"), ("nd", "-B"), ("dnd", "i-B"), ("dl", "iB")],
)
def test_heads_alone(letters: str, selected: str) -> None:
    answer = select(commits(letters), waiting=0, newest_only_beyond=99, heads_only=True)
    assert "".join(SHORT[selection] for _, selection in answer) == selected


@pytest.mark.parametrize(
    ("letters", "waiting", "beyond", "newest"),
    [("n", 3, 4, None), ("n", 4, 4, 0), ("nnd", 3, 4, 1), ("dd", 9, 4, None), ("", 9, 4, None)],
)
def test_commits_that_arrive_one_by_one_do_not_pile_up(
    letters: str, waiting: int, beyond: int, newest: int | None
) -> None:
    new = commits(letters)
    answer = superseded_before(new, waiting=waiting, newest_only_beyond=beyond)
    assert answer == (None if newest is None else new[newest].sha)
