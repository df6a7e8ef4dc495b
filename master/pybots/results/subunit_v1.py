"""Reads version 1 of subunit, the text that Twisted's trial writes.

The grammar is python-subunit's. It is fed line by line, because of itself it stops at a line that is not
UTF-8, takes quadratic time over a long traceback, and loses every test after one whose outcome shares a line
with something that the test printed.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, BinaryIO

from subunit import TestProtocolServer

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.lines import bounded_lines
from pybots.results.subunit_client import SubunitClient

_LINE_BYTES = 65_536
_HEAD_BYTES = 64_000
_TAIL_LINES = 300
_TAIL_LINE_BYTES = 1_000
_MULTIPART_BYTES = 4_000_000
_OUTCOME_WORD = re.compile(rb"(?:success|successful|failure|error|skip|xfail|uxsuccess):? $")
_START = re.compile(rb"(?:test|testing):? ")
_END_OF_DETAILS = b"]\n"


def read_subunit_v1(stream: BinaryIO, gathered: Gathering) -> None:
    """Read *stream* into *gathered*; a test that started and did not end is under way, and is its problem."""
    feed = _Feed(gathered)
    for line in bounded_lines(stream, _LINE_BYTES):
        feed.line(line.decode("utf-8", "replace").encode())
    if feed.under_way:
        gathered.problem(f"the report was cut off while {feed.under_way} was under way")
    elif not feed.tests:
        gathered.problem("the report holds no subunit")


class _Nowhere:
    """Where lines that are not subunit go: suites print among it."""

    def write(self, data: bytes) -> int:
        return len(data)


class _Feed:
    """Hands lines to python-subunit, and knows whether they belong to a test's details."""

    def __init__(self, gathered: Gathering) -> None:
        self._gathered = gathered
        self._client = SubunitClient(gathered)
        self._server = self._new_server()
        self._details: _Details | None = None
        self.tests = 0

    @property
    def under_way(self) -> str:
        """The test that has started and not ended, or nothing."""
        return self._server.current_test_description or ""

    def line(self, line: bytes) -> None:
        """Take the next line."""
        if self._details is not None:
            self._detail(self._details, line)
        elif self.under_way:
            self._within_test(line)
        else:
            self._pass_on(line)
            self.tests += bool(self.under_way)

    def _new_server(self) -> Any:
        server = TestProtocolServer(self._client, _Nowhere())
        server.current_test_description = None
        return server

    def _within_test(self, line: bytes) -> None:
        name = self.under_way.encode()
        for ending in (b"\n", b" [\n", b" [ multipart\n"):
            before = line.removesuffix(name + ending)
            word = _OUTCOME_WORD.search(before) if len(before) < len(line) else None
            if word:
                self._details = None if ending == b"\n" else _Details(multipart=b"multipart" in ending)
                self._pass_on(line[word.start() :])
                return
        if _START.match(line):
            self._gathered.problem(
                f"the outcome of {self.under_way} cannot be read; is anything printed in it?"
            )
            self._server = self._new_server()
        self._pass_on(line)

    def _detail(self, details: _Details, line: bytes) -> None:
        if line == _END_OF_DETAILS:
            if not details.multipart:
                self._pass_on(details.taken())
            self._pass_on(line)
            self._details = None
        elif details.multipart:
            details.size += len(line)
            self._pass_on(line)
            if details.size > _MULTIPART_BYTES:
                self._give_up("its details are too long")
        else:
            details.add(line)

    def _pass_on(self, lines: bytes) -> None:
        try:
            self._server.lineReceived(lines)
        except LimitReachedError:
            raise
        except Exception as error:  # noqa: BLE001  (python-subunit lets any exception through)
            if self._details is None:
                self._gathered.problem(f"a line is not subunit: {error!r}")
            else:
                self._give_up(repr(error))

    def _give_up(self, why: str) -> None:
        self._gathered.problem(f"the outcome of {self.under_way} cannot be read: {why}")
        self._details = None
        self._server = self._new_server()


class _Details:
    """The head and the tail of one test's details. They are handed on in one piece."""

    def __init__(self, *, multipart: bool) -> None:
        self.multipart = multipart
        self.size = 0
        self._head: list[bytes] = []
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)

    def add(self, line: bytes) -> None:
        """Take one line; python-subunit quotes a leading `]` with a space."""
        line = line[1:] if line.startswith(b" ]") else line
        self.size += len(line)
        if self.size <= _HEAD_BYTES:
            self._head.append(line)
        else:
            self._tail.append(line if len(line) <= _TAIL_LINE_BYTES else line[:_TAIL_LINE_BYTES] + b"\n")

    def taken(self) -> bytes:
        """Return what was kept, with a line break before it that no end marker or quotation can follow."""
        return b"\n" + b"".join([*self._head, *self._tail])
