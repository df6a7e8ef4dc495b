"""Reads and writes the one form in which files by digest travel: a stream of compressed files, each with its sha256.

A stream is `MAGIC`, then for each file its sha256 (32 bytes), the length of what follows (8 bytes, big-endian) and its
content as one zstd frame; then `END`, without which it was cut off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import zstandard

from pybots_worker.interpreters.manifest import MAXIMUM_WINDOW_BYTES

MAGIC = b"pybots files 1\n"
END = bytes(40)
HEADER_BYTES = 40
CHUNK_BYTES = 256 << 10


class StreamRejectedError(Exception):
    """A stream of files is not what it should be; the text says why."""


class Readable(Protocol):
    """What a stream is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


def header(digest: str, frame_bytes: int) -> bytes:
    """Return what stands before a file's frame."""
    return bytes.fromhex(digest) + frame_bytes.to_bytes(8, "big")


def largest_frame(size: int) -> int:
    """Return how long the frame of a file of `size` bytes can be: what does not compress grows a little."""
    return size + size // 128 + 1024


class Frame:
    """One file's compressed content within a stream; `read` gives it as it came."""

    def __init__(self, stream: Readable, digest: str, length: int, size: int) -> None:
        self.digest = digest
        self.size = size
        self._stream = stream
        self._left = length

    def read(self, size: int = CHUNK_BYTES, /) -> bytes:
        """Return at most `size` bytes of the frame; raises StreamRejectedError where the stream ends in it."""
        if not self._left or size <= 0:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            msg = f"the stream ends within the file {self.digest}"
            raise StreamRejectedError(msg)
        self._left -= len(data)
        return data

    def rest(self) -> Iterator[bytes]:
        """Give what has not been read."""
        while chunk := self.read():
            yield chunk


def frames(stream: Readable, wanted: Mapping[str, int]) -> Iterator[Frame]:
    """Give the frames of a stream: each of the `wanted` files (sha256 -> size) once at most, and no other.

    What is given is bounded in length, and not verified: `decompress` does that. Raises StreamRejectedError.
    """
    if _exactly(stream, len(MAGIC)) != MAGIC:
        msg = "this is no stream of files"
        raise StreamRejectedError(msg)
    seen: set[str] = set()
    while (head := _exactly(stream, HEADER_BYTES)) != END:
        digest, length = head[:32].hex(), int.from_bytes(head[32:], "big")
        if digest not in wanted or digest in seen:
            msg = f"the file {digest} comes twice, or was not asked for"
            raise StreamRejectedError(msg)
        if length > largest_frame(wanted[digest]):
            msg = f"the file {digest} is longer than it can be"
            raise StreamRejectedError(msg)
        seen.add(digest)
        frame = Frame(stream, digest, length, wanted[digest])
        yield frame
        for _ in frame.rest():
            pass
    if stream.read(1):
        msg = "the stream goes on after its end"
        raise StreamRejectedError(msg)


def decompress(frame: Readable, digest: str, size: int, write: Callable[[bytes], object]) -> None:
    """Give a frame's content to `write`; never more than `size` bytes.

    Raises StreamRejectedError at the end where the content is not that of the file *digest*.
    """
    found, left = hashlib.sha256(), size
    decompressor: Any = zstandard.ZstdDecompressor(max_window_size=MAXIMUM_WINDOW_BYTES)
    reader = decompressor.stream_reader(frame, read_size=CHUNK_BYTES)
    try:
        while data := reader.read(min(CHUNK_BYTES, left + 1)):
            left -= len(data)
            if left < 0:
                break
            found.update(data)
            write(data)
    except zstandard.ZstdError as error:
        msg = f"the file {digest} is not compressed by zstd: {error}"
        raise StreamRejectedError(msg) from error
    if left or found.hexdigest() != digest:
        msg = f"what came as the file {digest} is another one, or not all of it, or larger"
        raise StreamRejectedError(msg)


def _exactly(stream: Readable, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        data = stream.read(size - len(parts))
        if not data:
            msg = "the stream is cut off"
            raise StreamRejectedError(msg)
        parts += data
    return parts
