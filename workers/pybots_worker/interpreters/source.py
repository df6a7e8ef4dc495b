"""Talks to git: brings exactly one commit into a tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.phases import CommandError, Commands

_GIT = (
    "git",
    *("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"),  # nothing outlives the command
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false"),
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=120"),
)
_QUESTION_SECONDS = 120


def bring_commit(commands: Commands, source: Path, git: str, commit: str) -> bool:
    """Make the tracked files at `source` those of a commit of `git` (address or path); says whether all is new.

    A repository that cannot be used any more is replaced, but only by one that could be fetched. Raises CommandError.
    """
    if not (source / ".git").is_dir():
        remove_tree(source)
        _start_anew(commands, source, git, commit)
        return True
    _remove_stale_locks(source / ".git")
    try:
        _fetch(commands, source, git, commit)
        _check_out(commands, source, commit)
    except CommandError:
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


def changed_paths(source: Path, before: str, after: str) -> list[str] | None:
    """Return the paths that differ between two commits; None where git cannot tell."""
    done = subprocess.run(
        [*_GIT, "diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after, "--"],
        cwd=source,
        capture_output=True,
        timeout=_QUESTION_SECONDS,
        check=False,
    )
    if done.returncode:
        return None
    return [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]


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
    commands.run([*fetch, *unshallow, "--", git, "+refs/heads/*:refs/pybots-branches/*"], source)
    if not _has(source, commit):
        msg = f"{git} has no commit {commit} on any branch"
        raise CommandError(msg)


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
    for lock in repository.glob("*.lock"):
        lock.unlink(missing_ok=True)
