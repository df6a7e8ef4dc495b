"""What an installed interpreter consists of, in the one form from which its digest is made."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import zstandard
from pydantic import Field, ValidationError

from pybots_worker.contract import Sha256, Shape

MAXIMUM_ENTRIES = 50_000
"""CPython with all of its tests has 6000."""
MAXIMUM_MANIFEST_BYTES = 16 << 20
MAXIMUM_NAME_BYTES = 255
MAXIMUM_TREE_BYTES = 2 << 30
MAXIMUM_WINDOW_BYTES = 32 << 20
"""What decompressing a stranger's data may take of memory."""
_LEVEL = 9
_CHUNK_BYTES = 1 << 20

RelativePath = Annotated[str, Field(min_length=1, max_length=1000)]


class FileEntry(Shape):
    """A regular file; of its mode only whether it may be executed."""

    kind: Literal["file"] = "file"
    path: RelativePath
    executable: bool = False
    size: Annotated[int, Field(ge=0, le=MAXIMUM_TREE_BYTES)]
    sha256: Sha256


class LinkEntry(Shape):
    """A symbolic link."""

    kind: Literal["link"] = "link"
    path: RelativePath
    target: RelativePath


class FolderEntry(Shape):
    """A folder."""

    kind: Literal["folder"] = "folder"
    path: RelativePath


Entry = Annotated[FileEntry | LinkEntry | FolderEntry, Field(discriminator="kind")]


class ManifestRejectedError(Exception):
    """This is not the manifest that it should be, or not one to lay a tree out by; the text says why."""


class Manifest(Shape):
    """The entries of a tree, sorted by path."""

    entries: Annotated[list[Entry], Field(max_length=MAXIMUM_ENTRIES)]

    def canonical(self) -> bytes:
        """Return the one text of this manifest; its sha256 is the artifact's digest."""
        plain = self.model_dump(mode="json")
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def digest(self) -> str:
        """Return the artifact's digest."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def tree_bytes(self) -> int:
        """Return what the files take together."""
        return sum(entry.size for entry in self.files())

    def files(self) -> list[FileEntry]:
        """Return the regular files."""
        return [entry for entry in self.entries if isinstance(entry, FileEntry)]

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each distinct content, by sha256."""
        return {entry.sha256: entry.size for entry in self.files()}

    def compressed(self) -> bytes:
        """Return the manifest as it is sent and stored; `read_manifest` reads it."""
        return zstandard.compress(self.canonical(), _LEVEL)


def read_manifest(compressed: bytes, digest: str) -> Manifest:
    """Return the manifest *digest*, which a stranger may have written: bounded, checked, in its one form.

    Raises ManifestRejectedError.
    """
    data = _decompress(compressed)
    if (found := hashlib.sha256(data).hexdigest()) != digest:
        msg = f"the manifest's digest is {found}, not {digest}"
        raise ManifestRejectedError(msg)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        msg = f"the manifest cannot be read: {error.errors()[0]['msg']}"
        raise ManifestRejectedError(msg) from error
    if problem := find_problem(manifest):
        raise ManifestRejectedError(problem)
    if manifest.canonical() != data:
        msg = "the manifest is not written in its one form"
        raise ManifestRejectedError(msg)
    return manifest


def _decompress(compressed: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=MAXIMUM_WINDOW_BYTES).stream_reader(compressed)
    try:
        data: bytes = reader.read(MAXIMUM_MANIFEST_BYTES + 1)
    except zstandard.ZstdError as error:
        msg = f"the manifest is not compressed by zstd: {error}"
        raise ManifestRejectedError(msg) from error
    if len(data) > MAXIMUM_MANIFEST_BYTES:
        msg = f"the manifest is larger than {MAXIMUM_MANIFEST_BYTES} bytes"
        raise ManifestRejectedError(msg)
    return data


class Digests:
    """The digests of files, kept as long as inode, size and dates stay: what is not written to is read once.

    Only of files that nobody changed since `unchanged_since` (seconds since the epoch), which should lie a little
    before the first reading: who changes a file later changes its date, too.
    """

    def __init__(self, unchanged_since: float = 0.0) -> None:
        self._unchanged_since = unchanged_since
        self._known: dict[tuple[int, ...], str] = {}

    def of(self, path: Path, status: os.stat_result) -> tuple[int, str]:
        """Return the file's size in bytes, and its sha256; `status` is what lstat says of it."""
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if key in self._known:
            return status.st_size, self._known[key]
        size, digest = hash_file(path)
        if status.st_ctime < self._unchanged_since and size == status.st_size:
            self._known[key] = digest
        return size, digest


def describe_tree(tree: Path, digests: Digests | None = None) -> Manifest:
    """Read a tree and describe it; with the same `digests` as before, what did not change since is not read again.

    Raises ValueError on what is neither file, folder nor link, or points outside.
    """
    digests = digests or Digests()
    entries: list[FileEntry | LinkEntry | FolderEntry] = []
    for folder, folders, files in os.walk(tree):
        for name in [*folders, *files]:
            path = Path(folder, name)
            entries.append(_describe(path, path.relative_to(tree).as_posix(), digests))
    manifest = Manifest(entries=sorted(entries, key=lambda entry: entry.path))
    problem = find_problem(manifest)
    if problem:
        raise ValueError(problem)
    return manifest


def find_problem(manifest: Manifest) -> str:
    """Say why a manifest must not be unpacked; empty where it may be."""
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for entry in manifest.entries:
        parent = entry.path.rpartition("/")[0]
        if not _is_plain(entry.path):
            return f"{entry.path!r} is not a plain relative path"
        if entry.path in kinds:
            return f"{entry.path} is named twice"
        if parent and kinds.get(parent) != "folder":  # sorted: a folder comes before what is in it
            return f"{entry.path} is not in a folder of this tree"
        if isinstance(entry, LinkEntry) and not _stays_inside(entry):
            return f"{entry.path} is a link to {entry.target!r}, outside of this tree"
        if isinstance(entry, FileEntry) and sizes.setdefault(entry.sha256, entry.size) != entry.size:
            return f"{entry.path} has another size than another file with the same digest"
        kinds[entry.path] = entry.kind
    if manifest.tree_bytes() > MAXIMUM_TREE_BYTES:
        return f"the files take more than {MAXIMUM_TREE_BYTES} bytes"
    return ""


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    if any(part in {"", ".", ".."} or len(part.encode()) > MAXIMUM_NAME_BYTES for part in parts):
        return False
    return "\0" not in path and "\\" not in path


def _stays_inside(link: LinkEntry) -> bool:
    """'..' only at the start, and not further up than the tree: then no chain of such links leads outside."""
    parts = PurePosixPath(link.target).parts
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    below = parts[up:]
    return bool(below) and ".." not in below and _is_plain("/".join(below)) and up <= link.path.count("/")


def _describe(path: Path, name: str, digests: Digests) -> FileEntry | LinkEntry | FolderEntry:
    status = path.lstat()
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return LinkEntry(path=name, target=str(path.readlink()))
    if stat.S_ISDIR(mode):
        return FolderEntry(path=name)
    if not stat.S_ISREG(mode):
        msg = f"{name} is neither a file, nor a folder, nor a link"
        raise ValueError(msg)
    size, digest = digests.of(path, status)
    return FileEntry(path=name, executable=bool(mode & 0o111), size=size, sha256=digest)


def hash_file(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes, and its sha256."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
