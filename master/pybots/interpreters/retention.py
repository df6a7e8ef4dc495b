"""Decides which artifacts stay in the store: what something rests on, what is new, and what else there is room for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

GRACE = timedelta(hours=2)
"""What was taken in, or asked after, so lately may be on its way: no row refers to it yet."""


class Reason(StrEnum):
    """Why an artifact stays."""

    IN_USE = "in use"
    LAST_GOOD = "last good"
    INCIDENT = "open incident"
    RELEASE = "release"
    YOUNG = "young"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """An artifact in the store; `files` are the numbers of what it consists of, each once."""

    digest: str
    taken_in: datetime
    files: Sequence[int]


@dataclass(frozen=True, slots=True)
class Retention:
    """What is to happen."""

    kept: Mapping[str, Reason]
    removed: tuple[str, ...]
    kept_bytes: int


def retain(
    artifacts: Collection[StoredArtifact],
    sizes: Sequence[int],
    roots: Mapping[str, Reason],
    *,
    condemned: Collection[str] = (),
    limit_bytes: int,
    now: datetime,
) -> Retention:
    """Decide; *sizes* are the bytes that each numbered file takes, *roots* the digests that something rests on.

    Roots and young artifacts stay, whatever they take. Of the others the newest stay, until one more would take the
    whole beyond *limit_bytes*: so what stays for room is never older than what goes. The *condemned* (nothing will
    ever refer to them again) go, unless they are roots or young. A file that several artifacts have counts once.
    """
    newest_first = sorted(artifacts, key=lambda artifact: (artifact.taken_in, artifact.digest), reverse=True)
    kept = {
        artifact.digest: roots.get(artifact.digest, Reason.YOUNG)
        for artifact in newest_first
        if artifact.digest in roots or artifact.taken_in > now - GRACE
    }
    there = {number for artifact in newest_first if artifact.digest in kept for number in artifact.files}
    total = sum(sizes[number] for number in there)
    removed: list[str] = []
    full = False
    for artifact in newest_first:
        if artifact.digest in kept:
            continue
        added = [number for number in artifact.files if number not in there]
        more = sum(sizes[number] for number in added)
        full = full or (artifact.digest not in condemned and total + more > limit_bytes)
        if full or artifact.digest in condemned:
            removed.append(artifact.digest)
            continue
        kept[artifact.digest] = Reason.ROOM
        there.update(added)
        total += more
    return Retention(kept, tuple(removed), total)
