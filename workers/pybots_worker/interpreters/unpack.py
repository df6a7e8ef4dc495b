"""Unpacks an artifact that a stranger may have made: nothing but what its manifest says, and all of it."""

from __future__ import annotations

import hashlib
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard
from pydantic import ValidationError

from pybots_worker.interpreters.folders import UNPACKING_PREFIX, remove_tree
from pybots_worker.interpreters.manifest import (
    MANIFEST_NAME,
    MAXIMUM_MANIFEST_BYTES,
    TREE_PREFIX,
    FileEntry,
    FolderEntry,
    LinkEntry,
    Manifest,
    find_problem,
)

_CHUNK_BYTES = 1 << 20


class ArchiveRejectedError(Exception):
    """An archive is not the artifact that it should be; the text says why."""


def unpack_artifact(archive: Path, digest: str, destination: Path, *, work: Path | None = None) -> None:
    """Unpack the artifact `digest` into `destination`, which must not exist; all of it or nothing.

    It grows in the folder `work` (without: beside `destination`), and is renamed at the end. Every file is checked
    against the manifest, and the manifest against the digest. The tree is made read-only.
    Raises ArchiveRejectedError, OSError.
    """
    beside = (work or destination.parent) / f"{UNPACKING_PREFIX}{secrets.token_hex(6)}"
    try:
        with archive.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            _unpack(stream, digest, beside)
        beside.rename(destination)
        destination.chmod(0o555)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        msg = f"{archive.name} is not a tar archive compressed by zstd: {error}"
        raise ArchiveRejectedError(msg) from error
    finally:
        remove_tree(beside)


def _unpack(stream: IO[bytes], digest: str, tree: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        members = _members(tar)
        manifest = _read_manifest(members, digest)
        tree.mkdir(parents=True)
        for entry in manifest.entries:
            if isinstance(entry, FolderEntry):
                (tree / entry.path).mkdir()
        wanted = (entry for entry in manifest.entries if isinstance(entry, FileEntry))
        for entry in wanted:
            _unpack_file(members, entry, tree)
        if extra := next(members, None):
            msg = f"{extra[0].name} is in the archive, and not in its manifest"
            raise ArchiveRejectedError(msg)
    _finish(manifest, tree)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            msg = f"{member.name} is not a regular file"
            raise ArchiveRejectedError(msg)
        yield member, content


def _read_manifest(members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]], digest: str) -> Manifest:
    member, content = next(members, (None, None))
    if (
        member is None
        or content is None
        or member.name != MANIFEST_NAME
        or member.size > MAXIMUM_MANIFEST_BYTES
    ):
        msg = "the archive does not begin with a manifest"
        raise ArchiveRejectedError(msg)
    data = content.read(member.size)
    if hashlib.sha256(data).hexdigest() != digest:
        msg = f"the manifest's digest is {hashlib.sha256(data).hexdigest()}, not {digest}"
        raise ArchiveRejectedError(msg)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        msg = f"the manifest cannot be read: {error.errors()[0]['msg']}"
        raise ArchiveRejectedError(msg) from error
    if problem := find_problem(manifest):
        raise ArchiveRejectedError(problem)
    return manifest


def _unpack_file(members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]], entry: FileEntry, tree: Path) -> None:
    """Write the next member, which has to be `entry`; its size is known before anything is read."""
    member, content = next(members, (None, None))
    if member is None or content is None or member.name != f"{TREE_PREFIX}{entry.path}":
        msg = f"{entry.path} is in the manifest, and not where it should be in the archive"
        raise ArchiveRejectedError(msg)
    if member.size != entry.size or _copy(content, tree / entry.path) != entry.sha256:
        msg = f"{entry.path} is not the file that the manifest describes"
        raise ArchiveRejectedError(msg)


def _copy(content: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("xb") as stream:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()


def _finish(manifest: Manifest, tree: Path) -> None:
    """Make the links last, when nothing is written through them any more, and take away the right to write."""
    for entry in manifest.entries:
        if isinstance(entry, LinkEntry):
            (tree / entry.path).symlink_to(entry.target)
        elif isinstance(entry, FileEntry):
            (tree / entry.path).chmod(0o555 if entry.executable else 0o444)
    for entry in reversed(manifest.entries):
        if isinstance(entry, FolderEntry):
            (tree / entry.path).chmod(0o555)
