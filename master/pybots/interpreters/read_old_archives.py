"""Takes apart the archives of farms that stored one file an artifact: their content goes into the store, once."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard
from pydantic import ValidationError

from pybots.interpreters.artifact_store import ArtifactRejected, ArtifactStore
from pybots_worker.interpreters import file_stream
from pybots_worker.interpreters.manifest import (
    MAXIMUM_MANIFEST_BYTES,
    MAXIMUM_WINDOW_BYTES,
    Manifest,
    find_problem,
)

SUFFIX = ".tar.zst"
MANIFEST_NAME = "manifest.json"
TREE_PREFIX = "tree/"
LARGEST_FILE_BYTES = 512 << 20
_LEVEL = 1


def take_apart(store: ArtifactStore) -> list[str]:
    """Take every old archive into *store* and remove it; return a line for each.

    Killed at any instant, it goes on where it was at the next start. What cannot be read is removed, too: its row
    then says that it is not in the store.
    """
    said = []
    for archive in sorted(store.folder.glob(f"*{SUFFIX}")):
        digest = archive.name.removesuffix(SUFFIX)
        try:
            _take_apart(archive, digest, store)
            said.append(f"the archive of {digest[:12]} was taken apart into the store")
        except (ArtifactRejected, tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            said.append(f"the archive of {digest[:12]} was removed, because it is broken: {error}")
        archive.unlink()
    return said


def _take_apart(archive: Path, digest: str, store: ArtifactStore) -> None:
    pack = archive.with_suffix(".pack")
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAXIMUM_WINDOW_BYTES)
    try:
        with (
            archive.open("rb") as raw,
            decompressor.stream_reader(raw) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
            pack.open("wb") as target,
        ):
            members = _members(tar)
            manifest = _manifest(members, digest)
            _write_pack(members, manifest, target)
        with pack.open("rb") as stream_of_files:
            store.take_in_files(stream_of_files, manifest)
        store.keep(manifest)
    finally:
        pack.unlink(missing_ok=True)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or member.size > LARGEST_FILE_BYTES:
            msg = f"{member.name} is not a regular file, or too large"
            raise ArtifactRejected(msg)
        yield member, content


def _manifest(members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]], digest: str) -> Manifest:
    member, content = next(members, (None, None))
    if member is None or content is None or member.name != MANIFEST_NAME:
        msg = "it does not begin with a manifest"
        raise ArtifactRejected(msg)
    data = content.read(MAXIMUM_MANIFEST_BYTES)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ArtifactRejected(error.errors()[0]["msg"]) from error
    if problem := find_problem(manifest):
        raise ArtifactRejected(problem)
    if hashlib.sha256(data).hexdigest() != digest or manifest.digest() != digest:
        msg = "its manifest is another artifact's"
        raise ArtifactRejected(msg)
    return manifest


def _write_pack(
    members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]], manifest: Manifest, target: IO[bytes]
) -> None:
    """Bring the members into the form that the store takes, which verifies each."""
    digests = {f"{TREE_PREFIX}{entry.path}": entry.sha256 for entry in manifest.files()}
    compressor, written = zstandard.ZstdCompressor(level=_LEVEL), set()
    target.write(file_stream.MAGIC)
    for member, content in members:
        digest = digests.get(member.name, "")
        if not digest:
            msg = f"{member.name} is in the archive, and not in its manifest"
            raise ArtifactRejected(msg)
        if digest not in written:
            written.add(digest)
            frame = compressor.compress(content.read())
            target.write(file_stream.header(digest, len(frame)))
            target.write(frame)
    target.write(file_stream.END)
