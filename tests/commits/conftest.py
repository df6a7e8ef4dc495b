"""Real git repositories in temporary folders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


class Trunk:
    """A repository that a test writes the history of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 1_700_000_000
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", ".")

    def git(self, *arguments: str, given: str = "") -> str:
        identity = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in IDENTITY}
        when = {"GIT_COMMITTER_DATE": f"@{self.seconds} +0200", "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=os.environ | identity | when,
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    def commit(self, *paths: str, subject: str = "change") -> str:
        """Write something new to each path and commit it; without paths, an empty commit."""
        self.seconds += 60
        for path in paths:
            file = self.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{self.seconds}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


IDENTITY = (("NAME", "Ada Löwe"), ("EMAIL", "ada@example.org"))


@pytest.fixture
def trunk(tmp_path: Path) -> Trunk:
    return Trunk(tmp_path / "trunk")
