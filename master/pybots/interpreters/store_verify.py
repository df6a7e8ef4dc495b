"""Reads the whole store again: every manifest and every file is compared with the digest that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import zstandard

from pybots.interpreters.artifact_store import FRAME_HEADER_BYTES, ArtifactStore
from pybots_worker.interpreters.file_stream import StreamRejectedError, decompress
from pybots_worker.interpreters.manifest import Manifest, ManifestRejectedError

Progress = Callable[[int], None]
"""Told how many files were read so far."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A manifest or a file (`kind`) that is not what it should be, and the artifacts that cannot be used for it."""

    kind: str
    digest: str
    problem: str
    artifacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, in bytes as stored, and what is wrong; `unnamed` files are no damage: tidying removes them."""

    artifacts: int
    files: int
    stored_bytes: int
    unnamed: int
    damage: list[Damage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoreSize:
    """What the stored interpreters take, in bytes, and what they may."""

    artifacts: int
    files: int
    stored_bytes: int
    limit_bytes: int


def measure(store: ArtifactStore, limit_bytes: int) -> StoreSize:
    """Count what is in the store, without reading it."""
    sizes = [file.size for file in store.files()]
    return StoreSize(len(store.manifests()), len(sizes), sum(sizes), limit_bytes)


def verify(
    store: ArtifactStore, believed: Iterable[str] = (), progress: Progress = lambda _: None
) -> Verified:
    """Read everything; *believed* are the artifacts that have to be there, by digest. Blocks; the master may run.

    What retention removes meanwhile is not missed.
    """
    damage: list[Damage] = []
    named = _named(store, damage)
    files = stored_bytes = unnamed = 0
    seen = set()
    for file in store.files():
        files, stored_bytes = files + 1, stored_bytes + file.size
        seen.add(file.digest)
        users = named.get(file.digest)
        unnamed += users is None
        if problem := _problem(store, file.digest, users.size if users else None):
            damage.append(Damage("file", file.digest, problem, tuple(users.artifacts) if users else ()))
        progress(files)
    for digest in named.keys() - seen:
        # It may have come since its folder was listed, or its artifacts may have gone.
        left = tuple(artifact for artifact in named[digest].artifacts if store.holds(artifact))
        if left and not store.file_path(digest).exists():
            damage.append(Damage("file", digest, "it is missing", left))
    damage += [
        Damage("manifest", digest, "it is missing", (digest,))
        for digest in believed
        if not store.holds(digest)
    ]
    damage.sort(key=lambda one: (one.kind, one.digest))
    return Verified(len(store.manifests()), files, stored_bytes, unnamed, damage)


@dataclass(slots=True)
class _Users:
    size: int
    artifacts: list[str]


def _named(store: ArtifactStore, damage: list[Damage]) -> dict[str, _Users]:
    """Return the files that manifests name; a manifest that is broken is *damage*."""
    named: dict[str, _Users] = {}
    for artifact in store.manifests():
        manifest = _manifest(store, artifact, damage)
        for digest, size in manifest.sizes().items() if manifest else ():
            named.setdefault(digest, _Users(size, [])).artifacts.append(artifact)
    return named


def _manifest(store: ArtifactStore, digest: str, damage: list[Damage]) -> Manifest | None:
    try:
        return store.read_manifest(digest)
    except FileNotFoundError:
        return None
    except (ManifestRejectedError, OSError) as error:
        damage.append(Damage("manifest", digest, str(error), (digest,)))
        return None


def _problem(store: ArtifactStore, digest: str, size: int | None) -> str:
    """Say what is wrong with a file; empty where nothing is, or where it is gone."""
    try:
        with store.file_path(digest).open("rb") as stream:
            if size is None:
                size = max(0, zstandard.frame_content_size(stream.read(FRAME_HEADER_BYTES)))
                stream.seek(0)
            decompress(stream, digest, size, lambda _: None)
    except FileNotFoundError:
        return ""
    except (StreamRejectedError, zstandard.ZstdError, OSError) as error:
        return str(error)
    return ""
