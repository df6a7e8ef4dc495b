"""Decides what `git log -z --name-only` says: one record a commit, every field of it bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pybots.commits.classify import Touches, classify

FIELDS = "%x00%H%x00%P%x00%an%x00%ae%x00%ct%x00%s"
"""What `git log --format=tformat:` has to write for `parse` to read it."""

HEADER_LENGTH = 6
MOST_PATHS = 5000
LONGEST_TOKEN = 64 * 1024
LONGEST_PATH = 4096
LONGEST_NAME = 300
LONGEST_SUBJECT = 500
LATEST_SECONDS = 253_402_300_799  # the end of year 9999, the last that datetime knows

_SHA = re.compile(r"[0-9a-f]{40}")


class UnreadableHistory(ValueError):
    """Git wrote something that is not a record."""


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """What git says of one commit."""

    sha: str
    parent_sha: str
    """First parent; empty for a root."""
    author_name: str
    author_email: str
    committed_at: datetime
    subject: str
    paths: tuple[str, ...]
    """What differs from the first parent, at most `MOST_PATHS` of them."""
    files_changed: int

    @property
    def touches(self) -> Touches:
        """What the commit reaches; native when it changes more files than are kept."""
        return Touches.NATIVE if self.files_changed > len(self.paths) else classify(self.paths)


def parse(chunks: Iterable[bytes]) -> Iterator[CommitFacts]:
    """Read commits from pieces of git's output, cut anywhere; raise `UnreadableHistory` on anything else.

    Text that is not UTF-8 is kept with replacement characters.
    """
    tokens = _tokens(chunks)
    # Each record begins with an empty token, which also ends the one before it: no path is empty.
    next(tokens, None)
    for sha in tokens:
        header = [sha, *(next(tokens, None) for _ in range(HEADER_LENGTH - 1))]
        if header[-1] is None:
            msg = f"git's log ends in the middle of commit {_text(sha, 60)!r}; fetch again"
            raise UnreadableHistory(msg)
        paths, count = _paths(tokens)
        yield _facts([field or b"" for field in header], paths, count)


def _tokens(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what stands between NULs, each cut to `LONGEST_TOKEN` bytes."""
    pending = b""
    for chunk in chunks:
        first, *others = chunk.split(b"\0")
        pending = (pending + first)[:LONGEST_TOKEN]
        for other in others:
            yield pending
            pending = other[:LONGEST_TOKEN]
    if pending:
        yield pending


def _paths(tokens: Iterator[bytes]) -> tuple[tuple[str, ...], int]:
    """Read paths up to the empty token that begins the next record."""
    kept: list[str] = []
    count = 0
    for token in tokens:
        if not token:
            break
        # Git ends the header's line before the first path; any other newline is the path's own.
        path = token.removeprefix(b"\n") if count == 0 else token
        count += 1
        if count <= MOST_PATHS:
            kept.append(_text(path, LONGEST_PATH))
    return tuple(kept), count


def _facts(header: list[bytes], paths: tuple[str, ...], count: int) -> CommitFacts:
    sha, parents, name, email, seconds, subject = header
    sha_text = _text(sha, 60)
    if not _SHA.fullmatch(sha_text):
        msg = f"git's log has {sha_text!r} where a commit's name should be; fetch again"
        raise UnreadableHistory(msg)
    return CommitFacts(
        sha=sha_text,
        parent_sha=_text(parents, 40),
        author_name=_text(name, LONGEST_NAME),
        author_email=_text(email, LONGEST_NAME),
        committed_at=_time(seconds),
        subject=_text(subject, LONGEST_SUBJECT),
        paths=paths,
        files_changed=count,
    )


def _text(raw: bytes, longest: int) -> str:
    return raw[: longest * 4].decode("utf-8", "replace")[:longest]


def _time(raw: bytes) -> datetime:
    """Commits may claim any time at all; those outside of what a calendar holds get its nearest end."""
    try:
        seconds = int(raw)
    except ValueError:
        seconds = 0
    return datetime.fromtimestamp(min(max(seconds, 0), LATEST_SECONDS), UTC)
