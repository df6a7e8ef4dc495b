"""Decides which part of a log a page shows; what is decompressed is bounded, whatever was sent."""

from __future__ import annotations

import io
from dataclasses import dataclass

import zstandard

from pybots.site.harmless import bounded_line, visible, without_colours

MOST_BYTES = 8_000_000
LONGEST_LINE = 2000


@dataclass(frozen=True, slots=True)
class Log:
    """Some lines of a log: `lines` are pairs of number (from 1) and text."""

    lines: tuple[tuple[int, str], ...]
    total: int
    """How many lines the log has."""

    @property
    def first(self) -> int:
        """The number of the first line shown; 0 where there is none."""
        return self.lines[0][0] if self.lines else 0

    @property
    def last(self) -> int:
        """The number of the last line shown; 0 where there is none."""
        return self.lines[-1][0] if self.lines else 0


def decompress(compressed: bytes, most: int = MOST_BYTES) -> str:
    """Return a zstandard-compressed log as text, at most *most* bytes of it; bad data says so in the text."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
            io.BytesIO(compressed)
        ) as reader:
            data = reader.read(most + 1)
    except zstandard.ZstdError as error:
        return f"[the log cannot be read: {error}]"
    text = data[:most].decode("utf-8", "replace")
    return text if len(data) <= most else f"{text}\n[the rest is not shown: more than {most:,} bytes]"


def harmless_log(text: str) -> str:
    """Return *text* without colours, every control character visible, every line bounded."""
    return "\n".join(bounded_line(line, LONGEST_LINE) for line in _lines(text))


def _lines(text: str) -> list[str]:
    lines = visible(without_colours(text)).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def tail(text: str, count: int) -> Log:
    """Return the last *count* lines."""
    total = len(_lines(text))
    return part(text, max(total - count, 0) + 1, count)


def part(text: str, first: int, count: int) -> Log:
    """Return *count* lines from line *first* (from 1) on; fewer where the log ends."""
    lines = _lines(text)
    start = min(max(first, 1), max(len(lines), 1)) - 1
    shown = enumerate(lines[start : start + count], start + 1)
    return Log(tuple((number, bounded_line(line, LONGEST_LINE)) for number, line in shown), len(lines))
