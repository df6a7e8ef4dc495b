"""Talks to the store: a folder of packed interpreters, each named by its manifest's digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pybots_worker.contract import Artifact

CHUNK_BYTES = 1 << 20


class ArtifactRejected(Exception):
    """What a worker sent is not what it said it sent."""


class ArtifactStore:
    """A folder of archives called DIGEST.tar.zst; each arrives whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Return where the archive of the artifact *digest* is, or would be."""
        return self.folder / f"{digest}.tar.zst"

    def holds(self, digest: str) -> bool:
        """Say whether the artifact *digest* can be handed out."""
        return self.path(digest).is_file()

    def take_in(self, upload: Path, artifact: Artifact) -> Path:
        """Move *upload* into the store, having checked size and digest; an artifact that is there stays.

        Raises ArtifactRejected when the upload does not match *artifact*.
        """
        size, digest = _measure(upload)
        if size != artifact.archive_bytes or digest != artifact.archive_sha256:
            msg = (
                f"the upload has {size} bytes and sha256 {digest}; the worker announced "
                f"{artifact.archive_bytes} bytes and sha256 {artifact.archive_sha256}"
            )
            raise ArtifactRejected(msg)
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.path(artifact.digest)
        os.replace(upload, target)
        return target


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(stream.fileno())
    return size, digest.hexdigest()
