"""Cuts small commits from what differs between two releases of CPython, into a repository that a worker builds from."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pybots.commands.demonstration.cpython_source import CPythonSource

_LIBRARY = re.compile(r"Lib/(?!test/|idlelib/|turtledemo/|ensurepip/)(?!.*/tests?/).*\.py")
"""Installed files alone: a change of a test would add nothing at all."""
_C = re.compile(r"(Modules|Objects|Python|Parser)/.*\.c")
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "bench"), ("EMAIL", "bench@example.org"), ("DATE", "1577836800 +0000"))
}


@dataclass(frozen=True, slots=True)
class Change:
    """One file as the newer release has it."""

    path: str
    mode: str
    blob: str

    @property
    def kind(self) -> str:
        """`Lib` or `C`."""
        return "Lib" if self.path.startswith("Lib/") else "C"


@dataclass(frozen=True, slots=True)
class Releases:
    """A repository that has two releases, and what differs between them."""

    repository: Path
    old: str
    new: str

    def changes(self, kind: str) -> list[Change]:
        """Return the files of a kind that both releases have, and that differ, in the order of their paths."""
        pattern = {"Lib": _LIBRARY, "C": _C}[kind]
        raw = git(self.repository, "diff-tree", "-r", "--no-renames", "--diff-filter=M", self.old, self.new)
        lines = (re.fullmatch(r":\d+ (\d+) \w+ (\w+) M\t(.*)", line) for line in raw.splitlines())
        return [Change(line[3], line[1], line[2]) for line in lines if line and pattern.fullmatch(line[3])]

    def commit(self, parent: str, change: Change) -> str:
        """Make the commit that brings one file on top of *parent*; return its sha."""
        index = {"GIT_INDEX_FILE": str(self.repository / "bench-index")}
        git(self.repository, "read-tree", parent, environment=index)
        entry = f"{change.mode},{change.blob},{change.path}"
        git(self.repository, "update-index", "--add", "--cacheinfo", entry, environment=index)
        tree = git(self.repository, "write-tree", environment=index).strip()
        message = ("-m", f"{change.path} as in the newer release")
        sha = git(self.repository, "commit-tree", tree, "-p", parent, *message).strip()
        git(self.repository, "update-ref", "refs/heads/main", sha)
        return sha


def get_releases(folder: Path, old: str, new: str) -> Releases:
    """Get two releases from the system's source packages into *folder*, once."""
    repository = folder / "both.git"
    found = []
    for version in (old, new):
        trunk = CPythonSource(folder / version, lambda text: None).get(None, version)
        found.append((trunk.git, trunk.commit))
    if not repository.exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True, timeout=60)
    for address, commit in found:
        git(repository, "fetch", "-q", address, commit)
    return Releases(repository, found[0][1], found[1][1])


def choose(
    library: Sequence[Change], c: Sequence[Change], counts: tuple[int, int], seed: int
) -> list[Change]:
    """Draw so many changes of each kind, and put them into an order, by *seed*."""
    drawn = random.Random(seed)  # noqa: S311  (a bench that can be repeated)
    chosen = [
        *drawn.sample(list(library), min(counts[0], len(library))),
        *drawn.sample(list(c), min(counts[1], len(c))),
    ]
    drawn.shuffle(chosen)
    return chosen


def git(repository: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run git in a repository; return what it prints."""
    return subprocess.run(
        ["git", *arguments],
        cwd=repository,
        env={**os.environ, **_AUTHOR, **(environment or {})},
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    ).stdout
