"""Talks to git: keeps a bare mirror of the trunk's branches and reads what is new on them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pybots.commits.history import FIELDS, CommitFacts, UnreadableHistory, parse

BRANCH = re.compile(r"(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}(?<![./])")
RELEASE = re.compile(r"v\d+\.\d+(\.\d+)?((a|b|rc)\d+)?")
LOCAL_SECONDS = 120.0
"""Limit of a git command that does not leave this machine."""
STALE_LOCK_SECONDS = 2 * 3600
ERROR_BYTES = 2000

# The master serves the mirror to workers through `git http-backend`. Workers ask for commits by name, also
# for those that a force push took off every branch; nothing is ever thrown away, and nobody pushes.
SETTINGS = {
    "http.uploadpack": "true",
    "http.receivepack": "false",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "gc.pruneExpire": "never",
    "remote.origin.tagOpt": "--no-tags",
    "log.showRoot": "true",
}


class MirrorError(Exception):
    """Git could not do what was asked; the text says what, and what to do."""


class BranchRewritten(MirrorError):
    """A force push: the head that was known is no longer in the branch's first-parent history.

    `fork` is the newest commit that both histories have, or None; take in what came after it.
    """

    def __init__(self, branch: str, known: str, head: str, fork: str | None) -> None:
        super().__init__(
            f"branch {branch!r} was rewritten: {known[:12]} is no longer in its history, its head is "
            f"{head[:12]}; what the two share ends at {fork[:12] if fork else 'nothing'}"
        )
        self.branch = branch
        self.known = known
        self.head = head
        self.fork = fork


class Mirror:
    """A bare repository at *path*; one thread at a time may fetch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create_or_open(self, url: str) -> None:
        """Make the repository if it is not there, and point it at *url*; safe to repeat."""
        if not url or url.startswith("-"):
            msg = f"trunk.git is {url!r}; give the path or URL of a CPython repository"
            raise MirrorError(msg)
        self.path.mkdir(parents=True, exist_ok=True)
        self._remove_stale_locks()
        if not all((self.path / part).exists() for part in ("HEAD", "config", "objects", "refs")):
            self._run(["init", "--quiet", "--bare", "--initial-branch=main", "."])
        present = self._output(["config", "--local", "--list", "-z"]).split("\0")
        for key, value in {**SETTINGS, "remote.origin.url": url}.items():
            # Git lists keys in lower case, except for what is between the dots.
            if f"{key.lower()}\n{value}" not in present:
                self._run(["config", "--local", key, value])

    def fetch(self, branches: Sequence[str], timeout: float, depth: int | None = None) -> dict[str, str]:
        """Bring *branches* up to date within *timeout* seconds; return what is wrong, by branch.

        A branch that the repository does not have is reported and taken out of the mirror; the others are
        fetched. With *depth*, branches that are new here come with that many commits of history only.
        Raises `MirrorError` when the repository does not answer.
        """
        for branch in branches:
            _check(branch)
        there = self._remote_branches(branches, timeout)
        missing = [branch for branch in branches if branch not in there]
        for branch in missing:
            self._run(["update-ref", "-d", f"refs/heads/{branch}"])
        known = [branch for branch in there if self._resolve(branch)]
        new = [branch for branch in there if branch not in known]
        self._fetch(known, timeout, [])
        self._fetch(new, timeout, [f"--depth={depth}"] if depth else [])
        return {
            branch: f"branch {branch!r} is not in {self._url()}; correct trunk.branches in farm.toml"
            for branch in missing
        }

    def releases(self, timeout: float) -> dict[str, str]:
        """Return the tag of each release (`v3.15.0a1`), by its commit; nothing of them is fetched.

        Raises `MirrorError` when the repository does not answer within *timeout* seconds.
        """
        text = self._output(["ls-remote", "--quiet", "origin", "refs/tags/v*"], timeout)
        rows = [line.split("\trefs/tags/", 1) for line in text.splitlines() if "\trefs/tags/" in line]
        # An annotated tag has two lines: its own object, and, with ^{} behind the name, the commit that it stands for.
        commits = {name.removesuffix("^{}"): sha for sha, name in sorted(rows, key=lambda row: row[1])}
        return {sha: name for name, sha in commits.items() if RELEASE.fullmatch(name)}

    def head(self, branch: str) -> str:
        """Return the branch's newest commit; `MirrorError` when the mirror does not have the branch."""
        found = self._resolve(branch)
        if not found:
            msg = f"branch {branch!r} is not in the mirror {self.path}; fetch it, or correct trunk.branches"
            raise MirrorError(msg)
        return found

    def new_commits(self, branch: str, known_head: str | None, limit: int) -> list[CommitFacts]:
        """Return what came after *known_head* in first-parent order, oldest first, at most *limit*.

        More than *limit* are read on by another call, from the last that this one returned. Without a known
        head these are the newest *limit*. Raises `BranchRewritten` when *known_head* left the branch.
        """
        head = self.head(branch)
        if known_head is None:
            newest = self._output(["rev-list", "--first-parent", f"--max-count={limit}", head, "--"])
            return self._facts(newest.split()[::-1])
        if known_head == head:
            return []
        return self._facts(self._after(branch, known_head, head)[:limit])

    def _remove_stale_locks(self) -> None:
        """Take away what a power cut left: nothing of ours holds a lock this long."""
        for lock in [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]:
            with suppress(OSError):
                if time.time() - lock.stat().st_mtime > STALE_LOCK_SECONDS:
                    lock.unlink()

    def _after(self, branch: str, known: str, head: str) -> list[str]:
        """The commits after *known* up to *head*, oldest first."""
        if not self._resolve_commit(known):
            raise BranchRewritten(branch, known, head, None)
        text = self._output(["rev-list", "--first-parent", "--parents", f"{known}..{head}", "--"])
        rows = [line.split() for line in text.splitlines()]
        if not rows or known not in rows[-1][1:2]:
            raise BranchRewritten(branch, known, head, self._fork(known, head))
        return [row[0] for row in reversed(rows)]

    def _fork(self, known: str, head: str) -> str | None:
        before = set(self._output(["rev-list", "--first-parent", known, "--"]).split())
        after = self._output(["rev-list", "--first-parent", head, "--"]).split()
        return next((sha for sha in after if sha in before), None)

    def _facts(self, shas: Sequence[str]) -> list[CommitFacts]:
        if not shas:
            return []
        arguments = ["log", "--stdin", "--no-walk=unsorted", "-z", "--name-only", "--no-renames"]
        arguments += ["--no-color", "--no-show-signature", "--ignore-submodules=none"]
        arguments += ["--diff-merges=first-parent", "--encoding=UTF-8", f"--format=tformat:{FIELDS}"]
        with tempfile.TemporaryFile() as output:
            self._run(arguments, given="\n".join(shas), output=output)
            output.seek(0)
            try:
                return list(parse(_chunks(output)))
            except UnreadableHistory as error:
                raise MirrorError(str(error)) from error

    def _remote_branches(self, branches: Sequence[str], timeout: float) -> list[str]:
        patterns = [f"refs/heads/{branch}" for branch in branches]
        text = self._output(["ls-remote", "--quiet", "origin", *patterns], timeout)
        there = {line.split("\t", 1)[-1] for line in text.splitlines()}
        return [branch for branch in branches if f"refs/heads/{branch}" in there]

    def _fetch(self, branches: Sequence[str], timeout: float, options: Sequence[str]) -> None:
        if branches:
            wanted = [f"+refs/heads/{branch}:refs/heads/{branch}" for branch in branches]
            self._run(
                ["fetch", "--quiet", "--no-tags", "--update-shallow", *options, "origin", *wanted], timeout
            )

    def _resolve(self, branch: str) -> str:
        _check(branch)
        return self._resolve_commit(f"refs/heads/{branch}")

    def _resolve_commit(self, name: str) -> str:
        with suppress(MirrorError):
            return self._output(
                ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
            ).strip()
        return ""

    def _url(self) -> str:
        return self._output(["config", "remote.origin.url"]).strip()

    def _output(self, arguments: Sequence[str], timeout: float = LOCAL_SECONDS) -> str:
        with tempfile.TemporaryFile() as output:
            self._run(arguments, timeout, output=output)
            output.seek(0)
            return output.read().decode("utf-8", "replace")

    def _run(
        self,
        arguments: Sequence[str],
        timeout: float = LOCAL_SECONDS,
        *,
        given: str = "",
        output: IO[bytes] | None = None,
    ) -> None:
        """Run git in the mirror; files take its output, so that no pipe can fill up and hang it."""
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as written:
            written.write(given.encode())
            written.seek(0)
            process = self._start(arguments, written, output, errors)
            if _wait(process, arguments[0], timeout) != 0:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - ERROR_BYTES))
                said = errors.read().decode("utf-8", "replace").strip()
                msg = f"git {arguments[0]} failed: {said or f'status {process.returncode}'}"
                raise MirrorError(msg)

    def _start(
        self, arguments: Sequence[str], given: IO[bytes], output: IO[bytes] | None, errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", f"--git-dir={self.path}", *arguments],
                cwd=self.path,
                env=_environment(),
                stdin=given,
                stdout=output or subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            msg = f"git cannot be started in {self.path} ({error}); install git, or make the folder"
            raise MirrorError(msg) from error


def _wait(process: subprocess.Popen[bytes], command: str, timeout: float) -> int:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        msg = f"git {command} did not finish within {timeout:g} seconds; look whether the repository answers"
        raise MirrorError(msg) from None


def _check(branch: str) -> None:
    if not BRANCH.fullmatch(branch):
        msg = f"{branch!r} cannot be a branch's name; correct trunk.branches in farm.toml"
        raise MirrorError(msg)


def _environment() -> dict[str, str]:
    """Nobody is there to answer a question; what the shell says of another repository is left out."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}
    }
    return inherited | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop git and what it started; first gently, so that it takes its lock files away."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk
