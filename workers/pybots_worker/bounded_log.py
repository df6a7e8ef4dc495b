"""Keeps the head and the tail of a program's output, however much it prints."""

from __future__ import annotations

import contextlib
import sys

import zstandard

TAIL_TEXT_CHARACTERS = 20_000
"""What the contract's `Text` holds."""


class BoundedLog:
    """The first `head_bytes` and the last `tail_bytes` of what is written.

    With `echo`, the head is also written to our standard output as it comes, for Buildbot's live log.
    """

    def __init__(self, head_bytes: int, tail_bytes: int, *, echo: bool = False) -> None:
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._echo = echo
        self.written = 0
        """Bytes written in all."""

    @property
    def left_out(self) -> int:
        """How many bytes were dropped between head and tail."""
        return self.written - len(self._head) - min(len(self._tail), self._tail_bytes)

    @property
    def truncated(self) -> bool:
        """Whether anything was dropped."""
        return self.left_out > 0

    def write(self, data: bytes) -> None:
        """Add output; memory stays below head + 2 x tail."""
        self.written += len(data)
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
            self._show(data[:room])
            if len(data) > room:
                self._show(b"\n[the rest is in the log that is kept]\n")
            data = data[room:]
        self._tail += data[-self._tail_bytes :] if self._tail_bytes else b""
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: -self._tail_bytes]

    def say(self, text: str) -> None:
        """Add a text of ours; what a project named in it need not be text that can be written."""
        self.write(text.encode("utf-8", "backslashreplace"))

    def contents(self) -> bytes:
        """The head, a line that says how many bytes were left out (if any were), the tail."""
        tail = bytes(self._tail[-self._tail_bytes :]) if self._tail_bytes else b""
        gap = f"\n[... {self.left_out} bytes left out ...]\n".encode() if self.truncated else b""
        return bytes(self._head) + gap + tail

    def tail_text(self, lines: int) -> str:
        """The last lines as text, at most 20 000 characters; undecodable bytes are replaced."""
        text = self.contents()[-4 * TAIL_TEXT_CHARACTERS :].decode("utf-8", "replace").replace("\0", "\ufffd")
        return "\n".join(text.splitlines()[-lines:])[-TAIL_TEXT_CHARACTERS:]

    def compressed(self) -> bytes:
        """The contents as one zstd frame."""
        return zstandard.ZstdCompressor(level=10).compress(self.contents())

    def _show(self, data: bytes) -> None:
        if not self._echo:
            return
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except (OSError, ValueError):  # whoever watched has gone; the log goes on
            self._echo = False
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.close()
