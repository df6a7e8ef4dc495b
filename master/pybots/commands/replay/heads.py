"""Talks to git: a bare repository of the replay's own, whose branch is moved head by head."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pybots.commands.demonstration.local_repository import FETCH_SECONDS, SourceError, git
from pybots.commands.replay.read import Replay
from pybots.config.problems import ConfigurationError, Problem

FIRST_DEPTH = 500
"""Commits of history that are fetched from an address at first; then four times as many, until the slice is there."""
BEFORE = 60
"""Commits before the first head that have to be there: the poller asks for a few of them."""


class Heads:
    """The heads of a replay, by their whole names, in a repository that shows one of them at a time."""

    def __init__(self, repository: Path, branch: str, commits: Sequence[str]) -> None:
        self.repository = repository
        self.branch = branch
        self.commits = tuple(commits)

    def show(self, index: int) -> str:
        """Make the head *index* the newest commit of the branch; return it."""
        commit = self.commits[index]
        git(["-C", str(self.repository), "update-ref", f"refs/heads/{self.branch}", commit])
        return commit


def prepare_heads(replay: Replay, repository: Path) -> Heads:
    """Make the repository, which shows nothing yet.

    Raises SourceError where the history cannot be had, ConfigurationError where it is not as the file says.
    """
    trunk = replay.content.trunk
    here = replay.path(trunk.git)
    git(["init", "--quiet", "--bare", "--template=", f"--initial-branch={trunk.branch}", str(repository)])
    if here.exists():
        _lean_on(replay, repository, here)
    elif ":" not in trunk.git:
        what = f"{here} is not there"
        raise ConfigurationError(
            [replay.problem(("trunk", "git"), what, "give a path relative to this file, or an address")]
        )
    else:
        _fetch(replay, repository)
    return Heads(repository, trunk.branch, _checked(replay, repository))


def _lean_on(replay: Replay, repository: Path, other: Path) -> None:
    """Use the objects of a repository on this machine as they are: a history is large."""
    try:
        objects, cut = (_own(other, name) for name in ("objects", "shallow"))
    except SourceError as error:
        what = f"{other} is not a git repository"
        raise ConfigurationError(
            [replay.problem(("trunk", "git"), what, "give a CPython repository")]
        ) from error
    info = repository / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text(f"{objects}\n")
    if cut.is_file():
        (repository / "shallow").write_bytes(cut.read_bytes())


def _own(repository: Path, name: str) -> Path:
    # It may be another account's.
    here = ["-c", "safe.directory=*", "-C", str(repository)]
    return Path(git([*here, "rev-parse", "--path-format=absolute", "--git-path", name]).strip())


def _fetch(replay: Replay, repository: Path) -> None:
    """Fetch the slice, and no more of the history than it takes."""
    address, heads = replay.content.trunk.git, replay.content.trunk.heads
    here = ["-C", str(repository)]
    if len(heads[-1]) < 40 or not _fetched(here, address, heads[-1], FIRST_DEPTH):
        # Some servers give a commit away by its branch alone.
        branches = "+refs/heads/*:refs/fetched/heads/*"
        git([*here, "fetch", "--quiet", "--no-tags", address, branches], FETCH_SECONDS, remote=True)
        return
    depth = FIRST_DEPTH
    while (repository / "shallow").is_file() and not _reaches(here, heads[0], heads[-1]):
        depth *= 4
        _fetched(here, address, heads[-1], depth)


def _fetched(here: Sequence[str], address: str, commit: str, depth: int) -> bool:
    fetch = ["fetch", "--quiet", "--no-tags", f"--depth={depth}", address, f"+{commit}:refs/fetched/head"]
    try:
        git([*here, *fetch], FETCH_SECONDS, remote=True)
    except SourceError:
        return False
    return True


def _reaches(here: Sequence[str], first: str, last: str) -> bool:
    """Whether the first head is there, with some history before it."""
    with suppress(SourceError):
        git([*here, "merge-base", "--is-ancestor", f"{first}~{BEFORE}", last])
        return True
    return False


def _checked(replay: Replay, repository: Path) -> list[str]:
    here = ["-C", str(repository)]
    problems: list[Problem] = []
    commits: list[str] = []
    for index, name in enumerate(replay.content.trunk.heads):
        try:
            commits.append(git([*here, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).strip())
        except SourceError:
            what = f"there is no commit {name} in {replay.content.trunk.git}"
            hint = "correct it; a repository that was cloned in part may have to be fetched whole"
            problems.append(replay.problem(("trunk", "heads", index), what, hint))
    if not problems:
        problems = [
            replay.problem(
                ("trunk", "heads", index),
                f"{commits[index][:12]} does not come after {commits[index - 1][:12]} on one branch",
                "give heads oldest first, each a first-parent ancestor of the next",
            )
            for index in range(1, len(commits))
            if not _follows(here, commits[index - 1], commits[index])
        ]
    if problems:
        raise ConfigurationError(problems)
    return commits


def _follows(here: Sequence[str], before: str, after: str) -> bool:
    """Whether *after* is on the same line of history as *before*, and newer."""
    if before == after:
        return False
    with suppress(SourceError):
        rows = git([*here, "rev-list", "--first-parent", "--parents", f"{before}..{after}"]).splitlines()
        return bool(rows) and before in rows[-1].split()[1:2]
    return False
