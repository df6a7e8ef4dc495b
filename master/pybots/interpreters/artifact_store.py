"""Talks to the store: the files that interpreters consist of, each once and named by its digest, and manifests."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard

from pybots_worker.interpreters.file_stream import (
    Readable,
    StreamRejectedError,
    decompress,
    frames,
)
from pybots_worker.interpreters.manifest import (
    MAXIMUM_MANIFEST_BYTES,
    Manifest,
    ManifestRejectedError,
    read_manifest,
)

LEVEL = 9
"""Of 96 MB: level 3 makes 37.2 MB in 0.3 s, 9 makes 34.8 MB in 1.4 s, 15 makes 34.0 MB in 7.7 s."""
FRAME_HEADER_BYTES = 18
MANIFEST_SUFFIX = ".json.zst"
FILE_SUFFIX = ".zst"


class ArtifactRejected(Exception):
    """What a worker sent is not what it said it sent."""


class FilesMissing(Exception):
    """An artifact cannot be kept yet: some of its files are not in the store."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the store: its sha256, the bytes that it takes there, and when it was last asked after (epoch)."""

    digest: str
    size: int
    used: float


class ArtifactStore:
    """A folder: `files/AB/CD...zst` and `manifests/DIGEST.json.zst`.

    A manifest is there only after all of its files, and a file only whole. Any number of threads of one process may
    use it. Who asks whether files are there marks them as used, so that retention leaves them for a while.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    @property
    def arriving(self) -> Path:
        """Where files grow; emptied when a master starts."""
        return self.folder / "arriving"

    def file_path(self, digest: str) -> Path:
        """Return where a file is, or would be."""
        return self.folder / "files" / digest[:2] / f"{digest[2:]}{FILE_SUFFIX}"

    def manifest_path(self, digest: str) -> Path:
        """Return where the manifest of the artifact *digest* is, or would be."""
        return self.folder / "manifests" / f"{digest}{MANIFEST_SUFFIX}"

    def holds(self, digest: str) -> bool:
        """Say whether the artifact *digest* can be handed out."""
        return self.manifest_path(digest).is_file()

    def read_manifest(self, digest: str) -> Manifest:
        """Return a stored manifest. Raises FileNotFoundError, ManifestRejectedError."""
        return read_manifest(self.manifest_path(digest).read_bytes(), digest)

    def lacking(self, manifest: Manifest) -> list[str]:
        """Return the digests of the files that the store has not got; the others now count as used.

        Raises ArtifactRejected where the manifest gives another size for a file that is here.
        """
        return [digest for digest, size in manifest.sizes().items() if not self._use(digest, size)]

    def take_in_files(self, stream: Readable, manifest: Manifest) -> int:
        """Take in files of *manifest* from a worker's stream; return the bytes that they take in the store.

        Each is decompressed, compared with its digest and compressed anew: nothing that a worker made is kept as it
        came. All of them or none. Raises ArtifactRejected, OSError.
        """
        self.arriving.mkdir(parents=True, exist_ok=True)
        place = self.arriving / secrets.token_hex(8)
        place.mkdir()
        try:
            names = []
            for frame in frames(stream, manifest.sizes()):
                write_file(frame, frame.digest, frame.size, place / frame.digest)
                names.append(frame.digest)
            return self._move_in(place, names)
        except StreamRejectedError as error:
            raise ArtifactRejected(str(error)) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def keep(self, manifest: Manifest) -> None:
        """Make an artifact of files that are in the store. Raises FilesMissing, ArtifactRejected, OSError."""
        path = self.manifest_path(manifest.digest())
        path.parent.mkdir(parents=True, exist_ok=True)
        self.arriving.mkdir(parents=True, exist_ok=True)
        with self._lock:
            missing = self.lacking(manifest)
            if missing:
                msg = f"{len(missing)} of its files are not in the store, {missing[0]} for one"
                raise FilesMissing(msg)
            beside = self.arriving / secrets.token_hex(8)
            with beside.open("xb") as stream:
                stream.write(manifest.compressed())
                sync(stream)
            os.replace(beside, path)
            sync_folder(path.parent)

    def manifests(self) -> dict[str, float]:
        """Return the digests of the artifacts that are here, with when each was last taken in (epoch)."""
        found = {}
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.folder / "manifests"):
                with suppress(FileNotFoundError):
                    found[entry.name.removesuffix(MANIFEST_SUFFIX)] = entry.stat().st_mtime
        return found

    def files(self) -> Iterator[StoredFile]:
        """Give every file that is here."""
        with suppress(FileNotFoundError):
            for folder in sorted((self.folder / "files").iterdir()):
                for entry in os.scandir(folder):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        digest = folder.name + entry.name.removesuffix(FILE_SUFFIX)
                        yield StoredFile(digest, status.st_size, status.st_mtime)

    def remove_manifest(self, digest: str, unless_since: float) -> bool:
        """Remove an artifact, unless it was taken in after *unless_since* (epoch); say whether it is gone."""
        return self._remove([self.manifest_path(digest)], unless_since) == 1

    def remove_files(self, digests: Iterable[str], unless_since: float) -> int:
        """Remove files, but for those that were asked after since; return how many. No manifest may name them."""
        return self._remove([self.file_path(digest) for digest in digests], unless_since)

    def empty_arriving(self) -> None:
        """Remove what an earlier life of the master was about to take in."""
        shutil.rmtree(self.arriving, ignore_errors=True)

    def _remove(self, paths: list[Path], unless_since: float) -> int:
        removed = 0
        for path in paths:
            # One at a time: nobody who takes something in waits long.
            with self._lock, suppress(FileNotFoundError):
                if path.stat().st_mtime < unless_since:
                    path.unlink()
                    removed += 1
        return removed

    def _use(self, digest: str, size: int) -> bool:
        try:
            file = os.open(f"{self.folder}/files/{digest[:2]}/{digest[2:]}{FILE_SUFFIX}", os.O_RDONLY)
        except FileNotFoundError:
            return False
        # No Path and no stream: thousands of files are asked after with every interpreter.
        try:
            known = zstandard.frame_content_size(os.read(file, FRAME_HEADER_BYTES))
            if known != size:
                msg = f"the manifest says that {digest} has {size} bytes; it has {known}"
                raise ArtifactRejected(msg)
            os.utime(file)
        finally:
            os.close(file)
        return True

    def _move_in(self, place: Path, names: list[str]) -> int:
        """Bring files that are whole and on the disk to where they belong."""
        added, folders = 0, set()
        for name in names:
            target = self.file_path(name)
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            if not target.exists():
                added += (place / name).stat().st_size
            os.replace(place / name, target)
        for folder in (*folders, self.folder / "files"):
            sync_folder(folder)
        return added


def write_file(frame: Readable, digest: str, size: int, target: Path) -> None:
    """Write the file *digest*, which comes compressed, compressed by ourselves. Raises StreamRejectedError, OSError."""
    with target.open("xb") as stream:
        with zstandard.ZstdCompressor(level=LEVEL).stream_writer(stream, size=size, closefd=False) as writer:
            decompress(frame, digest, size, writer.write)
        sync(stream)


def read_upload(path: Path, digest: str) -> Manifest:
    """Return the manifest *digest* that a worker uploaded. Raises ArtifactRejected, OSError."""
    with path.open("rb") as stream:
        compressed = stream.read(MAXIMUM_MANIFEST_BYTES)
    try:
        return read_manifest(compressed, digest)
    except ManifestRejectedError as error:
        raise ArtifactRejected(str(error)) from error


def sync(stream: IO[bytes]) -> None:
    """Wait until what was written is on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until what was renamed into *folder* is on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
