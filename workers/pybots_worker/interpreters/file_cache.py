"""Keeps the files that stored interpreters consist of on this machine: compressed, by digest, so many bytes of them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from pybots_worker.interpreters.file_stream import (
    CHUNK_BYTES,
    Frame,
    StreamRejectedError,
    decompress,
)
from pybots_worker.interpreters.manifest import FileEntry

LIMIT_BYTES = 2 << 30
"""About sixty interpreters that have nothing in common; of one branch's, many hundred."""
IN_USE_SECONDS = 900
"""What was asked for so lately may be about to be laid out: it stays, whatever the limit."""
_ARRIVING = ".arriving-"


class FileCache:
    """A folder that any number of processes share without a lock: files come whole, and go when nobody used them.

    Nothing in it is believed: whoever takes a file out compares it with its digest, and fetches anew what is wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Return where a file is, or would be."""
        return self.folder / digest[:2] / digest[2:]

    def lacking(self, digests: Iterable[str]) -> list[str]:
        """Return those that are not here; the others now count as used."""
        return [digest for digest in digests if not self._use(digest)]

    def take_in(self, frame: Frame) -> None:
        """Keep a file that comes from elsewhere, once it proved to be the one. Raises StreamRejectedError, OSError."""
        path = self.path(frame.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{_ARRIVING}{secrets.token_hex(6)}")
        try:
            with beside.open("xb") as stream:
                decompress(_Copied(frame, stream.write), frame.digest, frame.size, _nothing)
                for chunk in frame.rest():
                    stream.write(chunk)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def bring(self, entry: FileEntry, target: Path) -> bool:
        """Write a file's content to `target`, which must not exist; False where it is not here, or is broken."""
        path = self.path(entry.sha256)
        try:
            with path.open("rb") as frame, target.open("xb") as stream:
                decompress(frame, entry.sha256, entry.size, stream.write)
        except FileNotFoundError:
            return False
        except StreamRejectedError:
            path.unlink(missing_ok=True)
            return False
        return True

    def remove_oldest(self, limit_bytes: int, now: float) -> None:
        """Remove the least recently used until the rest takes no more than the limit, never what may be in use.

        `now` is in seconds since the epoch. Whoever has a file open goes on reading it.
        """
        files = self._files()
        excess = sum(size for _, size, _ in files) - limit_bytes
        for used, size, path in sorted(files):
            if path.name.startswith(_ARRIVING) or excess > 0:
                if used > now - IN_USE_SECONDS:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                excess -= size

    def _use(self, digest: str) -> bool:
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return each file with when it was used last, and its bytes."""
        found = []
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
        return found


class _Copied:
    """Reads a frame and gives what it reads to somebody else, too."""

    def __init__(self, frame: Frame, write: Callable[[bytes], object]) -> None:
        self._frame = frame
        self._write = write

    def read(self, size: int = CHUNK_BYTES, /) -> bytes:
        data = self._frame.read(size)
        self._write(data)
        return data


def _nothing(_data: bytes) -> None:
    """What is kept is the compressed file."""
