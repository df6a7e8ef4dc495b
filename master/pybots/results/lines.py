"""Reads a stream by bounded lines, or up to a bounded length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count
from typing import BinaryIO

from pybots.results.gather import LimitReachedError

MOST_LINES = 5_000_000
"""Ten for each test of the largest report. Two hundred megabytes of empty lines would be read for minutes."""


def bounded_lines(stream: BinaryIO, longest: int, most: int = MOST_LINES) -> Iterator[bytes]:
    """Yield *stream*'s lines; of one longer than *longest* bytes, the beginning and its line end.

    Raises LimitReachedError after *most* lines.
    """
    for number in count():
        line = stream.readline(longest)
        if not line:
            return
        if number >= most:
            msg = f"the report has more than {most} lines"
            raise LimitReachedError(msg)
        rest = line
        while len(rest) == longest and not rest.endswith(b"\n"):
            rest = stream.readline(longest)
        yield line if rest is line or not rest.endswith(b"\n") else line + b"\n"


class BoundedStream(io.RawIOBase):
    """Another stream's first bytes, and an error where it is longer.

    It has no file descriptor, so that readers do not wait on one, and takes "all" for "nothing more".
    """

    def __init__(self, stream: BinaryIO, length: int) -> None:
        super().__init__()
        self._stream = stream
        self._length = length
        self._left = length

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer*. Raises LimitReachedError where the stream goes on beyond the length."""
        read = self._stream.read(min(len(buffer), self._left + 1))
        if len(read) > self._left:
            msg = f"the report is longer than {self._length} bytes"
            raise LimitReachedError(msg)
        self._left -= len(read)
        buffer[: len(read)] = read
        return len(read)
