"""Keeps an installed interpreter for its upload: the manifest, a copy of the tree, and the files that are asked for."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

import zstandard

from pybots_worker.contract import FIRST_PACK_BYTES, MANIFEST_FILE, PACK_FILE, WANTED_FILE, Artifact
from pybots_worker.interpreters import file_stream
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.lay_out import lay_out
from pybots_worker.interpreters.manifest import (
    Digests,
    FileEntry,
    Manifest,
    ManifestRejectedError,
    describe_tree,
    read_manifest,
)

INSTALLED_FOLDER = "installed"
"""Beside the result: the tree as it was packed, until the master has what it lacks."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LEVEL = 3
"""For the way alone: the master compresses anew what it keeps."""


class PackError(Exception):
    """What was packed is not there as it was packed; the text says what is wrong."""


def pack_tree(tree: Path, output: Path) -> Artifact:
    """Do what `keep_tree` does; return the artifact that it is then."""
    return artifact_of(keep_tree(tree, output))


def keep_tree(tree: Path, output: Path, digests: Digests | None = None) -> Manifest:
    """Describe a tree in `output`/manifest.json.zst, and keep its files there by hard links; return the manifest.

    The links stay true as long as nobody writes in place into an installed file. Raises ValueError on a tree that
    could not be laid out again (special files, links that lead outside), OSError.
    """
    forget_packed(output)
    manifest = describe_tree(tree, digests)
    _link_files(manifest, tree, output / INSTALLED_FOLDER)
    beside = output / f"{MANIFEST_FILE}.part"
    beside.write_bytes(manifest.compressed())
    beside.replace(output / MANIFEST_FILE)
    return manifest


def artifact_of(manifest: Manifest) -> Artifact:
    """Return the artifact that consists of what a manifest names."""
    return Artifact(digest=manifest.digest(), tree_bytes=manifest.tree_bytes())


def lay_out_packed(output: Path, artifact: Artifact, destination: Path) -> None:
    """Lay out what `pack_tree` packed at `destination`, which must not exist: read-only copies, each verified.

    Raises PackError where it is not what was described, OSError.
    """
    manifest, kept = _packed(output, artifact.digest), output / INSTALLED_FOLDER
    changed = lay_out(manifest, lambda entry, path: _copy(kept / entry.sha256, entry, path), destination)
    if changed:
        msg = f"{changed[0].path} is not what was packed: it was written to in place"
        raise PackError(msg)


def pack_wanted(output: Path, digest: str) -> int:
    """Write `output`/pack: the files that `output`/wanted names, which are of the artifact *digest*.

    Returns the pack's bytes. Raises PackError, OSError.
    """
    sizes = _packed(output, digest).sizes()
    wanted = (output / WANTED_FILE).read_text("ascii").split()
    if not all(map(_DIGEST.fullmatch, wanted)) or set(wanted) - sizes.keys():
        msg = "the master asked for files that were not packed"
        raise PackError(msg)
    return _write_pack(output, wanted)


def pack_new(output: Path, manifest: Manifest, known: Collection[str]) -> int:
    """Write `output`/pack: the files of a kept tree whose digests are not `known`; return the pack's bytes.

    Where there are none, or they are larger than FIRST_PACK_BYTES, none is written and 0 returned. The master asks
    for what it lacks besides. Raises OSError.
    """
    new = {digest: size for digest, size in manifest.sizes().items() if digest not in known}
    largest = sum(file_stream.HEADER_BYTES + file_stream.largest_frame(size) for size in new.values())
    if not new or largest + len(file_stream.MAGIC) + len(file_stream.END) > FIRST_PACK_BYTES:
        return 0
    return _write_pack(output, new)


def forget_packed(output: Path) -> None:
    """Remove what `pack_tree` and `pack_wanted` left in `output`; what is not there is no error."""
    for name in (MANIFEST_FILE, PACK_FILE):
        (output / name).unlink(missing_ok=True)
    remove_tree(output / INSTALLED_FOLDER)


def _write_pack(output: Path, digests: Iterable[str]) -> int:
    beside = output / f"{PACK_FILE}.part"
    with beside.open("wb") as stream:
        stream.write(file_stream.MAGIC)
        for frame in _frames(digests, output / INSTALLED_FOLDER):
            stream.write(frame)
        stream.write(file_stream.END)
    beside.replace(output / PACK_FILE)
    return (output / PACK_FILE).stat().st_size


def _link_files(manifest: Manifest, tree: Path, kept: Path) -> None:
    """Keep one file for each digest, under that name."""
    kept.mkdir(parents=True)
    for entry in manifest.files():
        with contextlib.suppress(FileExistsError):
            _link(tree / entry.path, kept / entry.sha256)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        shutil.copyfile(source, target)  # another disk, or one that knows no links


def _packed(output: Path, digest: str) -> Manifest:
    try:
        return read_manifest((output / MANIFEST_FILE).read_bytes(), digest)
    except (FileNotFoundError, ManifestRejectedError) as error:
        msg = f"the artifact {digest} is not packed here: {error}"
        raise PackError(msg) from error


def _copy(source: Path, entry: FileEntry, target: Path) -> bool:
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        return False
    with target.open("xb") as stream:
        stream.write(content)
    return True


def _frames(wanted: Iterable[str], kept: Path) -> Iterable[bytes]:
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    for digest in wanted:
        frame = compressor.compress((kept / digest).read_bytes())
        yield file_stream.header(digest, len(frame))
        yield frame
