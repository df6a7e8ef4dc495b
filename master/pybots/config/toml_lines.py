"""Says on which line of a TOML text each key stands.

Python's own tomllib keeps no positions, nor does tomlkit (its issue 55), and the one fork of tomllib that
does (spanned-toml) was last released in 2022. This scanner only finds places: tomllib has the last word on
what is valid, and the tests hold the two against each other.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_KEY = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[A-Za-z0-9_-]++""")
_STRING = re.compile(
    r'"""(?:\\.|(?!""")[^\\])*+"{3,5}'
    r"|'''(?:(?!''').)*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]++")


class _NotUnderstoodError(Exception):
    """The text is not TOML from here on."""


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, of every table, key and array item in *text*.

    An array of tables is at its first header, and each of its items at its own. A text that stops being TOML
    somewhere gives what was found before that.
    """
    scan = _Scan(text)
    with suppress(_NotUnderstoodError, RecursionError):
        scan.document()
    return scan.lines


def line_of(lines: Mapping[KeyPath, int], path: Sequence[str | int]) -> int | None:
    """Return the line of *path*, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


@dataclass(slots=True)
class _Scan:
    text: str
    at: int = 0
    lines: dict[KeyPath, int] = field(default_factory=dict)
    items: dict[KeyPath, int] = field(default_factory=dict)
    """How many headers each array of tables has had."""
    newlines: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.newlines = [match.start() for match in re.finditer("\n", self.text)]

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._line()
        array = self._peek("[[")
        self._expect("[[" if array else "[")
        names = self._key()
        self._expect("]]" if array else "]")
        path: KeyPath = ()
        for name in names[:-1]:
            path = self._inside((*path, name), line)
        path = (*path, names[-1])
        if array:
            self.items[path] = self.items.get(path, 0) + 1
            return self._inside(path, line)
        self.lines[path] = line
        return path

    def _inside(self, path: KeyPath, line: int) -> KeyPath:
        self.lines.setdefault(path, line)
        count = self.items.get(path)
        if count is None:
            return path
        self.lines.setdefault((*path, count - 1), line)
        return (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        names = self._key()
        self._expect("=")
        for length in range(1, len(names)):
            self.lines.setdefault((*table, *names[:length]), line)
        self.lines[*table, *names] = line
        self._value((*table, *names))

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            names.append(_unquoted(self._take(_KEY)))
            self._skip(_SPACE)
            if not self._peek("."):
                return names
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._peek('"') or self._peek("'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while not self._reached("]"):
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            self._comma("]")
            index += 1
        self._expect("]")

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while not self._reached("}"):
            self._pair(path)
            self._comma("}")
        self._expect("}")

    def _reached(self, end: str) -> bool:
        self._skip(_BLANK)
        return self._peek(end)

    def _comma(self, end: str) -> None:
        if not self._reached(end):
            self._expect(",")

    def _line(self) -> int:
        return bisect_right(self.newlines, self.at - 1) + 1

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _expect(self, text: str) -> None:
        self._skip(_SPACE)
        if not self._peek(text):
            raise _NotUnderstoodError
        self.at += len(text)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _NotUnderstoodError
        self.at = match.end()
        return match.group()


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        return str(tomllib.loads(f"key = {key}")["key"])
    except tomllib.TOMLDecodeError:
        raise _NotUnderstoodError from None
