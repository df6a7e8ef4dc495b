from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from pybots.commits.classify import Touches
from pybots.commits.mirror import BranchRewritten, Mirror, MirrorError


class Trunk(Protocol):
    path: Path

    def git(self, *arguments: str) -> str: ...
    def commit(self, *paths: str, subject: str = ...) -> str: ...
    def head(self) -> str: ...


@pytest.fixture
def mirror(tmp_path: Path, trunk: Trunk) -> Mirror:
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.create_or_open(str(trunk.path))
    return mirror


def new(mirror: Mirror, known: str | None, limit: int = 100) -> list[str]:
    return [facts.sha for facts in mirror.new_commits("main", known, limit)]


def test_facts_of_a_commit(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("configure", "Lib/os.py")
    sha = trunk.commit("Lib/ä b\n.py", "Doc/a.rst", subject="gh-1: Ünïcode\n\nbody")
    mirror.fetch(["main"], timeout=30)
    facts = mirror.new_commits("main", root, limit=10)[0]
    assert (facts.sha, facts.parent_sha, facts.subject) == (sha, root, "gh-1: Ünïcode")
    assert (facts.author_name, facts.author_email) == ("Ada Löwe", "ada@example.org")
    assert facts.committed_at == datetime.fromtimestamp(1_700_000_120, UTC)
    assert facts.paths == ("Doc/a.rst", "Lib/ä b\n.py")
    assert facts.touches is Touches.LIBRARY
    assert mirror.new_commits("main", None, limit=2)[0].paths == ("Lib/os.py", "configure")


def test_first_look_takes_the_newest_and_later_ones_what_came_since(mirror: Mirror, trunk: Trunk) -> None:
    commits = [trunk.commit("a") for _ in range(5)]
    mirror.fetch(["main"], timeout=30)
    assert mirror.head("main") == commits[-1]
    assert new(mirror, None, limit=2) == commits[-2:]
    assert new(mirror, commits[-1]) == []
    assert new(mirror, commits[1]) == commits[2:]
    assert new(mirror, commits[0], limit=2) == commits[1:3]


def test_merges_are_read_along_the_first_parent(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("a")
    trunk.git("checkout", "--quiet", "-b", "side")
    trunk.commit("Doc/side.rst")
    trunk.commit("Doc/other.rst")
    trunk.git("checkout", "--quiet", "main")
    own = trunk.commit("Python/ceval.c")
    trunk.git("merge", "--quiet", "--no-ff", "--message", "merge", "side")
    merge = trunk.head()
    mirror.fetch(["main"], timeout=30)
    facts = mirror.new_commits("main", root, limit=10)
    assert [(commit.sha, commit.touches) for commit in facts] == [
        (own, Touches.NATIVE),
        (merge, Touches.DOCUMENTATION),
    ]
    assert facts[1].paths == ("Doc/other.rst", "Doc/side.rst")
    assert facts[1].parent_sha == own


def test_an_empty_commit_touches_nothing(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("a")
    trunk.commit()
    mirror.fetch(["main"], timeout=30)
    assert mirror.new_commits("main", root, limit=1)[0].touches is Touches.DOCUMENTATION


def test_a_rename_names_both_ends(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("Python/a.c")
    (trunk.path / "Doc").mkdir()
    trunk.git("mv", "Python/a.c", "Doc/a.c")
    trunk.git("commit", "--quiet", "--message", "move")
    mirror.fetch(["main"], timeout=30)
    facts = mirror.new_commits("main", root, limit=1)[0]
    assert facts.paths == ("Doc/a.c", "Python/a.c")
    assert facts.touches is Touches.NATIVE


def test_fifty_commits_at_once(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("a")
    commits = [trunk.commit(f"Doc/{number}.rst") for number in range(50)]
    mirror.fetch(["main"], timeout=30)
    facts = mirror.new_commits("main", root, limit=100)
    assert [commit.sha for commit in facts] == commits
    assert [commit.paths for commit in facts] == [(f"Doc/{number}.rst",) for number in range(50)]


def test_a_force_push_is_told_with_the_fork(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("a")
    shared = trunk.commit("b")
    gone = trunk.commit("c")
    mirror.fetch(["main"], timeout=30)
    trunk.git("reset", "--quiet", "--hard", shared)
    other = trunk.commit("d")
    mirror.fetch(["main"], timeout=30)
    with pytest.raises(BranchRewritten, match="was rewritten") as raised:
        mirror.new_commits("main", gone, limit=10)
    assert (raised.value.known, raised.value.head, raised.value.fork) == (gone, other, shared)
    assert new(mirror, shared) == [other]
    trunk.git("reset", "--quiet", "--hard", root)
    mirror.fetch(["main"], timeout=30)
    with pytest.raises(BranchRewritten) as raised:
        mirror.new_commits("main", other, limit=10)
    assert raised.value.fork == root


def test_a_head_that_was_merged_back_left_the_first_parents(mirror: Mirror, trunk: Trunk) -> None:
    root = trunk.commit("a")
    known = trunk.commit("b")
    mirror.fetch(["main"], timeout=30)
    trunk.git("checkout", "--quiet", "-b", "other", root)
    trunk.commit("c")
    trunk.git("merge", "--quiet", "--no-ff", "--message", "merge", "main")
    trunk.git("branch", "--force", "main", "HEAD")
    mirror.fetch(["main"], timeout=30)
    with pytest.raises(BranchRewritten) as raised:
        mirror.new_commits("main", known, limit=10)
    assert raised.value.fork == root


def test_a_known_head_that_nobody_has_leaves_no_fork(mirror: Mirror, trunk: Trunk) -> None:
    trunk.commit("a")
    mirror.fetch(["main"], timeout=30)
    with pytest.raises(BranchRewritten) as raised:
        mirror.new_commits("main", "f" * 40, limit=10)
    assert raised.value.fork is None


def test_a_commit_off_every_branch_is_still_served(mirror: Mirror, trunk: Trunk, tmp_path: Path) -> None:
    root = trunk.commit("a")
    gone = trunk.commit("b")
    mirror.fetch(["main"], timeout=30)
    trunk.git("reset", "--quiet", "--hard", root)
    trunk.commit("c")
    mirror.fetch(["main"], timeout=30)
    trunk.git("init", "--quiet", str(tmp_path / "worker"))
    # The older protocol serves only what the mirror's settings allow; the newer one, anything.
    oldest = ("-C", str(tmp_path / "worker"), "-c", "protocol.version=0")
    trunk.git(*oldest, "fetch", "--quiet", "--depth=1", str(mirror.path), gone)
    assert trunk.git("-C", str(tmp_path / "worker"), "rev-parse", "FETCH_HEAD") == gone


def test_releases_are_told_by_their_tags_and_not_fetched(mirror: Mirror, trunk: Trunk) -> None:
    first = trunk.commit("a")
    trunk.git("tag", "-a", "v3.15.0a1", "-m", "release")
    second = trunk.commit("b")
    for name in ("v3.15.0", "vacation", "v3", "3.14"):
        trunk.git("tag", name)
    assert mirror.releases(timeout=30) == {first: "v3.15.0a1", second: "v3.15.0"}
    mirror.fetch(["main"], timeout=30)
    assert not list((mirror.path / "refs" / "tags").iterdir())


def test_an_empty_repository_has_no_branch(mirror: Mirror) -> None:
    problems = mirror.fetch(["main"], timeout=30)
    assert "branch 'main' is not in" in problems["main"]
    assert "correct trunk.branches in farm.toml" in problems["main"]
    with pytest.raises(MirrorError, match="not in the mirror"):
        mirror.head("main")


def test_a_branch_that_is_missing_or_deleted_does_not_stop_the_others(mirror: Mirror, trunk: Trunk) -> None:
    first = trunk.commit("a")
    trunk.git("branch", "3.15")
    assert mirror.fetch(["3.15", "main", "3.99"], timeout=30).keys() == {"3.99"}
    trunk.git("branch", "-D", "3.15")
    trunk.git("branch", "3.15/next")
    second = trunk.commit("b")
    assert mirror.fetch(["3.15", "3.15/next", "main"], timeout=30).keys() == {"3.15"}
    assert mirror.head("main") == second
    assert mirror.head("3.15/next") == first
    with pytest.raises(MirrorError):
        mirror.head("3.15")


def test_other_branches_are_not_fetched(mirror: Mirror, trunk: Trunk) -> None:
    trunk.commit("a")
    trunk.git("branch", "private")
    trunk.git("tag", "v1")
    mirror.fetch(["main"], timeout=30)
    assert (
        trunk.git("--git-dir", str(mirror.path), "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    )


def test_with_a_depth_only_the_newest_history_comes(mirror: Mirror, trunk: Trunk) -> None:
    for _ in range(5):
        last = trunk.commit("a")
    mirror.create_or_open(trunk.path.as_uri())
    mirror.fetch(["main"], timeout=30, depth=2)
    assert len(new(mirror, None)) == 2
    following = trunk.commit("b")
    mirror.fetch(["main"], timeout=30, depth=2)
    assert new(mirror, last) == [following]


def test_opening_again_keeps_what_is_there_and_follows_a_new_address(
    mirror: Mirror, trunk: Trunk, tmp_path: Path
) -> None:
    sha = trunk.commit("a")
    mirror.fetch(["main"], timeout=30)
    moved = trunk.path.rename(tmp_path / "moved")
    with pytest.raises(MirrorError, match="ls-remote failed"):
        mirror.fetch(["main"], timeout=30)
    mirror.create_or_open(str(moved))
    assert mirror.head("main") == sha
    assert mirror.fetch(["main"], timeout=30) == {}


def test_locks_that_a_power_cut_left_are_taken_away(mirror: Mirror, trunk: Trunk) -> None:
    sha = trunk.commit("a")
    fresh = mirror.path / "refs/heads/fresh.lock"
    for lock in (mirror.path / "config.lock", mirror.path / "refs/heads/main.lock", fresh):
        lock.touch()
        if lock != fresh:
            os.utime(lock, (0, 0))
    mirror.create_or_open(trunk.path.as_uri())
    assert mirror.fetch(["main"], timeout=30) == {}
    assert mirror.head("main") == sha
    assert fresh.exists()


def test_a_repository_that_was_half_made_is_made_whole(mirror: Mirror, trunk: Trunk) -> None:
    sha = trunk.commit("a")
    (mirror.path / "HEAD").unlink()
    mirror.create_or_open(str(trunk.path))
    mirror.fetch(["main"], timeout=30)
    assert mirror.head("main") == sha


def test_opening_again_writes_nothing(mirror: Mirror, trunk: Trunk) -> None:
    before = (mirror.path / "config").stat()
    mirror.create_or_open(str(trunk.path))
    after = (mirror.path / "config").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "name", ["", "-x", "a..b", "a:b", "a b", "+a", "a.lock", "/a", "a/", "refs/*", "a\nb"]
)
def test_what_cannot_be_a_branch_is_refused(mirror: Mirror, name: str) -> None:
    with pytest.raises(MirrorError, match="cannot be a branch's name"):
        mirror.fetch([name], timeout=30)


@pytest.mark.parametrize("url", ["", "--upload-pack=touch x"])
def test_what_cannot_be_a_repository_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(MirrorError, match="give the path or URL"):
        Mirror(tmp_path / "m").create_or_open(url)


def test_a_remote_that_hangs_is_given_up(mirror: Mirror) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        mirror.create_or_open(f"git://127.0.0.1:{listening.getsockname()[1]}/trunk")
        before = time.monotonic()
        with pytest.raises(MirrorError, match=r"ls-remote did not finish within 0\.5 seconds"):
            mirror.fetch(["main"], timeout=0.5)
        assert time.monotonic() - before < 5
