"""The replay's own repository: what it takes over, what it shows, and what is said of heads that cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from trunk import TrunkCommit, make_trunk

from pybots.commands.replay.heads import Heads, prepare_heads
from pybots.commands.replay.read import read_replay
from pybots.commits.mirror import Mirror
from pybots.config.problems import ConfigurationError


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    path = tmp_path_factory.mktemp("trunk") / "cpython"
    return path, make_trunk(path, [TrunkCommit(f"{n}", {"Misc/n": f"{n}\n"}) for n in range(8)])


def prepare(tmp_path: Path, git_address: str, heads: list[str]) -> Heads:
    file = tmp_path / "replay.toml"
    file.write_text(f"[trunk]\ngit = '{git_address}'\nheads = {heads}\n")
    return prepare_heads(read_replay(file, "linux-x86_64-glibc"), tmp_path / "heads.git")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_poller_sees_the_heads_one_by_one(
    trunk: tuple[Path, list[str]], tmp_path: Path, scheme: str
) -> None:
    path, commits = trunk
    heads = prepare(tmp_path, f"{scheme}{path}", [commits[2], commits[3], commits[6]])
    mirror = Mirror(tmp_path / "mirror.git")
    seen = None
    found = []
    for index in range(3):
        assert heads.show(index) == heads.commits[index]
        mirror.create_or_open(str(heads.repository))
        assert mirror.fetch(["main"], 60, 51) == {}
        found.append([fact.sha for fact in mirror.new_commits("main", seen, 1 if seen is None else 100)])
        seen = mirror.head("main")
    assert found == [[commits[2]], [commits[3]], commits[4:7]]


def test_names_may_be_short(trunk: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, commits = trunk
    heads = prepare(tmp_path, str(path), [commits[0][:8], commits[1][:12]])
    assert heads.commits == tuple(commits[:2])


def test_a_repository_cut_short_serves(trunk: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, commits = trunk
    git(tmp_path, "clone", "--quiet", "--depth=4", f"file://{path}", "cut")
    heads = prepare(tmp_path, "cut", [commits[5], commits[7]])
    heads.show(1)
    assert git(heads.repository, "rev-list", "--count", "main") == "4"


def test_heads_that_cannot_be_are_named(trunk: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, commits = trunk
    with pytest.raises(ConfigurationError, match=r"replay.toml:3: there is no commit 1234567") as caught:
        prepare(tmp_path, str(path), [commits[0], "1234567"])
    assert "fetched whole" in str(caught.value)


@pytest.mark.parametrize("order", [(3, 2), (2, 2)])
def test_heads_have_an_order(trunk: tuple[Path, list[str]], tmp_path: Path, order: tuple[int, int]) -> None:
    path, commits = trunk
    with pytest.raises(ConfigurationError, match=r"replay.toml:3: .* give heads oldest first"):
        prepare(tmp_path, str(path), [commits[number] for number in order])


def test_a_commit_of_a_side_branch_is_no_head_before(tmp_path: Path) -> None:
    path = tmp_path / "cpython"
    begin, *_ = make_trunk(path, [TrunkCommit("a", {"Misc/n": "a\n"})])
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(path, "checkout", "--quiet", "-b", "side")
    git(path, *who, "commit", "--quiet", "--allow-empty", "-m", "side")
    side = git(path, "rev-parse", "HEAD")
    git(path, "checkout", "--quiet", "main")
    git(path, *who, "commit", "--quiet", "--allow-empty", "-m", "main")
    git(path, *who, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    merged = git(path, "rev-parse", "HEAD")
    with pytest.raises(ConfigurationError, match="does not come after"):
        prepare(tmp_path, str(path), [side, merged])
    (tmp_path / "again").mkdir()
    assert prepare(tmp_path / "again", str(path), [begin, merged]).commits == (begin, merged)


@pytest.mark.parametrize(
    ("address", "words"),
    [("nowhere", "nowhere is not there"), (".", "is not a git repository; give a CPython repository")],
)
def test_a_repository_that_is_none_is_named(tmp_path: Path, address: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"replay.toml:2: .*{words}"):
        prepare(tmp_path, address, ["1234567"])
