from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from pybots.commits.history import CommitFacts
from pybots.commits.select import Selection
from pybots.commits.store import head_of, name_releases, note_problem, rewind, take_in
from pybots.database.engine import Sessions
from pybots.database.tables import Branch, BranchCommit, Commit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def facts(*numbers: int) -> list[CommitFacts]:
    return [
        CommitFacts(
            f"{n:040x}", f"{n - 1:040x}", "Ada", "a@example.org", NOW, f"change {n}", ("Lib/os.py",), 1
        )
        for n in numbers
    ]


def take(
    sessions: Sessions,
    commits: Sequence[CommitFacts],
    branch: str = "main",
    selection: Selection = Selection.BUILD,
) -> list[tuple[int, int]]:
    """Positions and numbers of the commits that are new on the branch."""
    with sessions.writing() as session:
        taken = take_in(session, branch, commits, [(commit.sha, selection) for commit in commits], NOW)
    return [(commit.position, int(commit.sha, 16)) for commit in taken]


def stored(sessions: Sessions, branch: str = "main") -> list[tuple[int, int]]:
    with sessions.reading() as session:
        rows = session.execute(
            select(BranchCommit.position, Commit.sha)
            .join(Commit, Commit.id == BranchCommit.commit_id)
            .join(Branch, Branch.id == BranchCommit.branch_id)
            .where(Branch.name == branch)
            .order_by(BranchCommit.position)
        )
        return [(position, int(sha, 16)) for position, sha in rows]


def head(sessions: Sessions, branch: str = "main") -> int | None:
    with sessions.reading() as session:
        sha = head_of(session, branch)
        return None if sha is None else int(sha, 16)


def test_positions_are_contiguous_from_nought(sessions: Sessions) -> None:
    assert head(sessions) is None
    assert take(sessions, facts(5, 6)) == [(0, 5), (1, 6)]
    assert take(sessions, facts(7)) == [(2, 7)]
    assert stored(sessions) == [(0, 5), (1, 6), (2, 7)]
    assert head(sessions) == 7


def test_what_is_saved_of_a_commit(sessions: Sessions) -> None:
    take(sessions, facts(5), selection=Selection.NOT_BUILT)
    with sessions.reading() as session:
        row = session.scalars(select(Commit)).one()
        assert (row.sha, row.parent_sha, row.subject) == (f"{5:040x}", f"{4:040x}", "change 5")
        assert (row.touches, row.files_changed, row.committed_at) == ("library", 1, NOW)
        assert session.scalars(select(BranchCommit)).one().selection == "not-built"


def test_taking_the_same_in_again_changes_nothing(sessions: Sessions) -> None:
    take(sessions, facts(5, 6))
    assert take(sessions, facts(5, 6), selection=Selection.NOT_BUILT) == []
    assert take(sessions, facts(6, 7)) == [(2, 7)]
    assert stored(sessions) == [(0, 5), (1, 6), (2, 7)]
    with sessions.reading() as session:
        assert set(session.scalars(select(BranchCommit.selection))) == {"build"}


def test_branches_share_commits_with_positions_of_their_own(sessions: Sessions) -> None:
    take(sessions, facts(1, 2, 3))
    assert take(sessions, facts(3, 9), branch="3.15") == [(0, 3), (1, 9)]
    assert stored(sessions) == [(0, 1), (1, 2), (2, 3)]
    assert (head(sessions), head(sessions, "3.15")) == (3, 9)
    with sessions.reading() as session:
        assert len(session.scalars(select(Commit)).all()) == 4


def test_a_rewritten_branch_goes_on_after_what_it_had(sessions: Sessions) -> None:
    take(sessions, facts(1, 2, 3))
    with sessions.writing() as session:
        rewind(session, "main", f"{1:040x}")
    assert head(sessions) == 1
    assert take(sessions, facts(8)) == [(3, 8)]
    assert stored(sessions) == [(0, 1), (1, 2), (2, 3), (3, 8)]
    with sessions.writing() as session:
        rewind(session, "main", None)
    assert head(sessions) is None


def test_many_commits_at_once(sessions: Sessions) -> None:
    assert take(sessions, facts(*range(1, 1502)))[-1] == (1500, 1501)
    assert take(sessions, facts(*range(1, 1503))) == [(1501, 1502)]


def test_a_problem_lasts_until_a_poll_succeeds(sessions: Sessions) -> None:
    with sessions.writing() as session:
        note_problem(session, "main", "git fetch failed", NOW)
    with sessions.reading() as session:
        row = session.scalars(select(Branch)).one()
        assert (row.problem, row.polled_at, row.head_commit_id) == ("git fetch failed", NOW, None)
    with sessions.writing() as session:
        take_in(session, "main", [], [], NOW + timedelta(minutes=1))
    with sessions.reading() as session:
        row = session.scalars(select(Branch)).one()
        assert (row.problem, row.polled_at) == ("", NOW + timedelta(minutes=1))


def test_nothing_is_saved_when_a_selection_is_missing(sessions: Sessions) -> None:
    with pytest.raises(KeyError), sessions.writing() as session:
        take_in(session, "main", facts(1, 2), [], NOW)
    assert stored(sessions) == []


def test_releases_are_named_moved_and_taken_back(sessions: Sessions) -> None:
    take(sessions, facts(1, 2, 3))

    def named(releases: dict[int, str]) -> dict[int, str]:
        with sessions.writing() as session:
            name_releases(session, {f"{number:040x}": tag for number, tag in releases.items()})
        with sessions.reading() as session:
            rows = session.scalars(select(Commit).where(Commit.release != ""))
            return {int(row.sha, 16): row.release for row in rows}

    assert named({1: "v3.15.0a1", 9: "v3.2"}) == {1: "v3.15.0a1"}
    assert named({1: "v3.15.0a1", 2: "v3.15.0a2"}) == {1: "v3.15.0a1", 2: "v3.15.0a2"}
    assert named({3: "v3.15.0a2"}) == {3: "v3.15.0a2"}
    assert named({}) == {}
