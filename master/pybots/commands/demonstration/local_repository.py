"""Talks to git: puts CPython's source into a bare repository that the demonstration's farm follows."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

BRANCH = "main"
AUTHOR = "Pybots demonstration"
EMAIL = "demo@pybots.invalid"
MAXIMUM_UNPACKED_BYTES = 2_000_000_000
GIT_SECONDS = 300
FETCH_SECONDS = 1800


class SourceError(Exception):
    """CPython's source could not be had; the message says why and what to do."""


def git(
    arguments: Sequence[str], seconds: float = GIT_SECONDS, *, remote: bool = False, **environment: str
) -> str:
    """Run git without questions; return what it printed. Raises SourceError when it fails or has no end.

    Only *remote* work reads the user's configuration (proxies, addresses): a commit must not depend on it.
    """
    own = {} if remote else {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    silent = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, "LC_ALL": "C.UTF-8", **own, **silent, **environment},
            timeout=seconds,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"git {arguments[0]} had no answer within {seconds:.0f} s") from error
    except OSError as error:
        raise SourceError(f"git cannot be started: {error.strerror}") from error
    if done.returncode:
        raise SourceError(f"git {arguments[0]}: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or ["it failed and printed nothing"])[0][:300]


def reach(url: str, ref: str, seconds: float) -> tuple[str, str]:
    """Ask the repository at *url* what *ref* is (`HEAD`, a tag): its branch or ref, and the commit.

    Raises SourceError when there is no answer within *seconds*, or no such ref.
    """
    listed = git(["ls-remote", "--symref", url, ref, f"{ref}^{{}}"], seconds, remote=True)
    branch, commit = ref, ""
    for line in listed.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == ref:
            branch = value.removeprefix("ref: ").removeprefix("refs/heads/")
        elif name in {ref, f"{ref}^{{}}"}:
            commit = value  # an annotated tag's own line comes first, then what it points to
    if not commit:
        raise SourceError(f"{url} has no {ref}")
    return branch, commit


def fetch_head(repository: Path, url: str, ref: str) -> str:
    """Bring one commit of *url* into the bare *repository* as its branch; return the commit."""
    _initialise(repository)
    fetch = ["fetch", "--quiet", "--no-tags", "--depth=1", url, f"+{ref}:refs/fetched"]
    git(["-C", str(repository), *fetch], FETCH_SECONDS, remote=True)
    commit = git(["-C", str(repository), "rev-parse", "refs/fetched^{commit}"]).strip()
    git(["-C", str(repository), "update-ref", f"refs/heads/{BRANCH}", commit])
    return commit


def commit_tarball(repository: Path, tarball: Path, message: str) -> str:
    """Add the content of *tarball* to the bare *repository* as a commit on its branch; return the commit.

    The same tarball on the same history gives the same commit: author and date are fixed (the date is that
    of the newest file in it).
    """
    _initialise(repository)
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix="unpacked-") as folder:
        content, newest = unpack(tarball, Path(folder))
        tree = _write_tree(repository, content, Path(folder) / "index")
    parents = []
    if (repository / "refs" / "heads" / BRANCH).is_file():
        if git(["-C", str(repository), "rev-parse", f"{BRANCH}^{{tree}}"]).strip() == tree:
            return head(repository)  # an interrupted run had come this far
        parents = ["-p", head(repository)]
    at = f"{newest} +0000"
    commit = git(
        ["-C", str(repository), "commit-tree", tree, *parents, "-m", message],
        GIT_AUTHOR_NAME=AUTHOR,
        GIT_AUTHOR_EMAIL=EMAIL,
        GIT_AUTHOR_DATE=at,
        GIT_COMMITTER_NAME=AUTHOR,
        GIT_COMMITTER_EMAIL=EMAIL,
        GIT_COMMITTER_DATE=at,
    ).strip()
    git(["-C", str(repository), "update-ref", f"refs/heads/{BRANCH}", commit])
    return commit


def _write_tree(repository: Path, content: Path, index: Path) -> str:
    # An index of its own: one that a killed run left locked would stop every later one.
    here = [f"--git-dir={repository}", f"--work-tree={content}", "-c", "core.autocrlf=false"]
    git([*here, "add", "--all", "--force", "."], GIT_INDEX_FILE=str(index))
    return git([*here, "write-tree"], GIT_INDEX_FILE=str(index)).strip()


def head(repository: Path) -> str:
    """The newest commit of the branch. Raises SourceError when there is none."""
    return git(["-C", str(repository), "rev-parse", "--verify", f"refs/heads/{BRANCH}"]).strip()


def _initialise(repository: Path) -> None:
    if not (repository / "HEAD").is_file():
        repository.parent.mkdir(parents=True, exist_ok=True)
        git(["init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(repository)])
        (repository / "info").mkdir(exist_ok=True)


def unpack(tarball: Path, into: Path) -> tuple[Path, int]:
    """Unpack *tarball*; return its top folder and the newest file's time (seconds since 1970).

    Raises SourceError for anything that would lie outside of *into*, for devices, and for too much.
    """
    try:
        with tarfile.open(tarball) as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > MAXIMUM_UNPACKED_BYTES:
                raise SourceError(f"{tarball.name} unpacks to more than {MAXIMUM_UNPACKED_BYTES} bytes")
            archive.extractall(into, members, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SourceError(f"{tarball.name} cannot be unpacked: {error}; delete it and try again") from error
    tops = list(into.iterdir())
    if len(tops) != 1 or not (tops[0] / "configure").is_file():
        raise SourceError(f"{tarball.name} is not CPython's source: no configure in one top folder")
    return tops[0], max(int(member.mtime) for member in members)
