"""Makes small artifacts for tests: a manifest, and the stream in which a worker sends files."""

from __future__ import annotations

import hashlib
import io

import zstandard

from pybots_worker.interpreters.file_stream import END, MAGIC, header
from pybots_worker.interpreters.manifest import FileEntry, Manifest


def sha(content: bytes) -> str:
    """Return the name of a content."""
    return hashlib.sha256(content).hexdigest()


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """Return the manifest of a flat tree."""
    return Manifest(
        entries=[
            FileEntry(path=path, size=len(content), sha256=sha(content))
            for path, content in sorted(files.items())
        ]
    )


def pack_of(*contents: bytes) -> io.BytesIO:
    """Return the stream of these files."""
    frames = {sha(content): zstandard.compress(content, 1) for content in contents}
    return io.BytesIO(
        MAGIC + b"".join(header(digest, len(frame)) + frame for digest, frame in frames.items()) + END
    )
