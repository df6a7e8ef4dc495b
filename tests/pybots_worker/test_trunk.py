from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "minifarm"))

from trunk import TrunkCommit, add_commits, make_trunk


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=path, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def test_the_commits_are_those_that_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "trunk"
    commits = [
        TrunkCommit("Begin", {"Lib/colorsys.py": "ANSWER = 'ü'\n"}),
        TrunkCommit(
            "Say nothing", {"Doc/silence.rst": "", "Lib/colorsys.py": None}, "Bo <bo@example.org>", 2
        ),
    ]
    shas = make_trunk(path, commits)
    shas += add_commits(path, [TrunkCommit("Later"), TrunkCommit("Last", {"Lib/a.py": "1\n"})])
    shown = git(path, "log", "--reverse", "--format=%H|%s|%an|%ct", "main").splitlines()
    start = 1735689600
    assert shown == [
        f"{shas[0]}|Begin|Ada Example|{start}",
        f"{shas[1]}|Say nothing|Bo|{start + 2 * 86400}",
        f"{shas[2]}|Later|Ada Example|{start + 2 * 86400 + 3600}",
        f"{shas[3]}|Last|Ada Example|{start + 2 * 86400 + 7200}",
    ]
    assert git(path, "show", f"{shas[0]}:Lib/colorsys.py") == "ANSWER = 'ü'"
    assert git(path, "diff", "--name-status", shas[0], shas[1]).split() == [
        *("A", "Doc/silence.rst"),
        *("D", "Lib/colorsys.py"),
    ]
    assert git(path, "ls-tree", shas[3], "configure").startswith("100755")
    assert git(path, "status", "--porcelain") == ""


def test_what_git_refuses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="fast-import"):
        make_trunk(tmp_path / "trunk", [TrunkCommit("Bad", author="nobody <")])
