"""Puts the decision which artifacts stay into effect, in the database first, in the store second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pybots.database.engine import Sessions
from pybots.interpreters import store_roots
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.retention import GRACE, Retention, StoredArtifact, retain
from pybots_worker.interpreters.manifest import ManifestRejectedError

SPARED = 0.9
"""A store that is too full is brought down to this part of its limit, so that not every commit begins it anew."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was done, and what is there now."""

    artifacts_removed: int
    files_removed: int
    artifacts: int
    stored_bytes: int


def no_incidents() -> Iterable[str]:
    """Return the digests that open incidents rest on: none, until there are incidents."""
    return ()


@dataclass(frozen=True, slots=True)
class Tidying:
    """Everything that a round needs; `run` blocks, and is begun by one thread at a time."""

    sessions: Sessions
    store: ArtifactStore
    limit_bytes: int
    kept_commits: Sequence[str] = ()
    incidents: Callable[[], Iterable[str]] = no_incidents

    def run(self, now: datetime, *, thoroughly: bool) -> Tidied:
        """Tidy up where the store is too full, or *thoroughly*: also what nothing refers to goes then.

        Killed at any instant, it leaves a whole store: rows are marked first, then manifests go, then files that no
        manifest names, and what is left of that goes the next time it is done thoroughly.
        """
        self._note_lost(now)
        stored_bytes = sum(file.size for file in self.store.files())
        if stored_bytes <= self.limit_bytes and not thoroughly:
            return Tidied(0, 0, len(self.store.manifests()), stored_bytes)
        artifacts, sizes, numbers, broken = self._look()
        limit = int(self.limit_bytes * SPARED) if stored_bytes > self.limit_bytes else self.limit_bytes
        gone = self._decide(artifacts, sizes, limit, now) + broken
        unless_since = (now - GRACE).timestamp()
        removed = {digest for digest in gone if self.store.remove_manifest(digest, unless_since)}
        named = {
            number for artifact in artifacts if artifact.digest not in removed for number in artifact.files
        }
        unnamed = [digest for digest, number in numbers.items() if number not in named]
        files_removed = self.store.remove_files(unnamed, unless_since)
        left = sum(file.size for file in self.store.files())
        return Tidied(len(removed), files_removed, len(self.store.manifests()), left)

    def _note_lost(self, now: datetime) -> None:
        """An artifact that is not there, whoever removed it, is not said to be there."""
        with self.sessions.reading() as session:
            believed = store_roots.in_store(session)
        lost = [digest for digest in believed if not self.store.holds(digest)]
        if lost:
            with self.sessions.writing() as session:
                store_roots.mark_removed(session, lost, now)

    def _look(self) -> tuple[list[StoredArtifact], list[int], dict[str, int], list[str]]:
        """Return the artifacts, the size of each numbered file, the files' numbers, and manifests that are broken.

        Manifests are listed after files: one that came meanwhile names files that are young.
        """
        numbers: dict[str, int] = {}
        sizes: list[int] = []
        for file in self.store.files():
            numbers[file.digest] = len(sizes)
            sizes.append(file.size)
        artifacts, broken = [], []
        for digest, taken_in in self.store.manifests().items():
            try:
                content = self.store.read_manifest(digest).sizes()
            except FileNotFoundError:
                continue
            except ManifestRejectedError:
                broken.append(digest)
                continue
            files = [numbers[name] for name in content if name in numbers]
            artifacts.append(StoredArtifact(digest, datetime.fromtimestamp(taken_in, UTC), files))
        return artifacts, sizes, numbers, broken

    def _decide(
        self, artifacts: list[StoredArtifact], sizes: list[int], limit_bytes: int, now: datetime
    ) -> list[str]:
        """Return what goes, once the database says so: in one transaction with what refers to artifacts."""
        with self.sessions.writing() as session:
            roots = store_roots.roots(session, kept_commits=self.kept_commits, incidents=self.incidents())
            believed, known = store_roots.in_store(session), store_roots.known(session)
            condemned = {artifact.digest for artifact in artifacts} - believed.keys()
            decided: Retention = retain(
                artifacts, sizes, roots, condemned=condemned, limit_bytes=limit_bytes, now=now
            )
            marked = store_roots.mark_removed(session, decided.removed, now)
        return [digest for digest in decided.removed if digest in marked or digest not in known]
