"""Talks to git: brings exactly one commit into a tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.phases import CommandError, Commands
from pybots_worker.interpreters.plan import Changed

_GIT = (
    "git",
    *("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"),  # nothing outlives the command
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false"),
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=120"),
)
_QUESTION_SECONDS = 120
_NO_MODE = "000000"


class UnreachableError(OSError):
    """The git server does not answer, or not with what git can use; that is no commit's fault."""


class MissingCommitError(CommandError):
    """The server answers, and does not have the commit."""


def bring_commit(commands: Commands, source: Path, git: str, commit: str) -> bool:
    """Make the tracked files at `source` those of a commit of `git` (address or path); says whether all is new.

    A repository that cannot be used any more is replaced, but only by one that could be fetched. Raises CommandError
    where the server does not have the commit, UnreachableError where it is not known whether it has.
    """
    if not (source / ".git").is_dir():
        remove_tree(source)
        _start_anew(commands, source, git, commit)
        return True
    _remove_stale_locks(source / ".git")
    try:
        _fetch(commands, source, git, commit)
        _check_out(commands, source, commit)
    except MissingCommitError:
        raise
    except (CommandError, UnreachableError):
        commands.say("The repository may be damaged: fetching into a new one.")
        beside = source.with_name("source.new")
        remove_tree(beside)
        _start_anew(commands, beside, git, commit)
        remove_tree(source)
        beside.rename(source)
        return True
    return False


def remove_untracked(commands: Commands, source: Path) -> None:
    """Leave nothing but what the commit has. Raises CommandError."""
    commands.run([*_GIT, "clean", "-ffdxq"], source)


def youngest_date(source: Path) -> float:
    """Return the newest date of a file in the tree, in seconds since the epoch; 0 for an empty tree."""
    return max((date for _, date in _dates(source)), default=0.0)


def bring_dates_back(source: Path, now: float) -> None:
    """Give files that are younger than `now` this date: make may never be done with what depends on them."""
    for path, date in list(_dates(source)):
        if date > now:
            os.utime(path, (now, now), follow_symlinks=False)


def _dates(source: Path) -> Iterator[tuple[str, float]]:
    for folder, folders, files in os.walk(source):
        if ".git" in folders:
            folders.remove(".git")
        for name in files:
            path = os.path.join(folder, name)  # noqa: PTH118  (thousands of them)
            yield path, os.lstat(path).st_mtime


def changed_paths(source: Path, before: str, after: str) -> tuple[Changed, ...] | None:
    """Return what differs between two commits; None where git cannot tell."""
    done = subprocess.run(
        [*_GIT, "diff-tree", "-r", "-z", "--raw", "--no-renames", before, after, "--"],
        cwd=source,
        capture_output=True,
        timeout=_QUESTION_SECONDS,
        check=False,
    )
    if done.returncode:
        return None
    fields = done.stdout.split(b"\0")[:-1]  # ":100644 000000 SHA SHA D", path, ...
    modes = [os.fsdecode(facts).split()[1] for facts in fields[::2]]
    paths = [os.fsdecode(path) for path in fields[1::2]]
    return tuple(Changed(path, mode.replace(_NO_MODE, "")) for path, mode in zip(paths, modes, strict=True))


def _start_anew(commands: Commands, folder: Path, git: str, commit: str) -> None:
    folder.mkdir(parents=True)
    commands.run([*_GIT, "init", "--quiet"], folder)
    _fetch(commands, folder, git, commit)
    _check_out(commands, folder, commit)


def _check_out(commands: Commands, source: Path, commit: str) -> None:
    commands.run([*_GIT, "checkout", "--quiet", "--force", "--detach", commit], source)


def _fetch(commands: Commands, source: Path, git: str, commit: str) -> None:
    if _has(source, commit):
        return
    fetch = [*_GIT, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]
    # Without a ref for what we have, git would send everything again.
    single = [*fetch, "--depth=1", "--", git, f"+{commit}:refs/pybots/commit"]
    if commands.attempt(single, source).succeeded and _has(source, commit):
        return
    commands.say("The server does not hand out single commits: fetching all branches.")
    unshallow = ["--unshallow"] if (source / ".git" / "shallow").exists() else []
    everything = [*fetch, *unshallow, "--", git, "+refs/heads/*:refs/pybots-branches/*"]
    if not commands.attempt(everything, source).succeeded:
        msg = f"nothing can be fetched from {git}: {commands.log.tail_text(1).strip()[:300]}"
        raise UnreachableError(msg)
    if not _has(source, commit):
        msg = f"{git} has no commit {commit} on any branch"
        raise MissingCommitError(msg)


def _has(source: Path, commit: str) -> bool:
    done = subprocess.run(
        [*_GIT, "cat-file", "-e", f"{commit}^{{tree}}"],
        cwd=source,
        capture_output=True,
        timeout=_QUESTION_SECONDS,
        check=False,
        env={**os.environ, "GIT_NO_LAZY_FETCH": "1"},
    )
    return done.returncode == 0


def _remove_stale_locks(repository: Path) -> None:
    """Only we work in this repository, and hold its tree: a lock in it is what a killed git left."""
    locks = [*repository.glob("*.lock")]  # index, HEAD, config, packed-refs, shallow
    for folder in ("refs", "objects/info", "objects/pack"):
        locks += (repository / folder).rglob("*.lock")
    for lock in locks:
        lock.unlink(missing_ok=True)
