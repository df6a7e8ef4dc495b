"""Reads the plain cases of JUnit XML, a run of them at once and without the XML parser.

Nearly all of a report is `<testcase classname="..." name="..." time="..."/>`, one after the other, and most other
cases have one failure, error or skip in them and nothing else. What has that shape to the letter is read by pattern
where the XML parser, which is fed all the rest, stands between two cases of a suite; once there is what may hold such
text without meaning it (a comment, CDATA, a processing instruction), nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

_WHOLE = 'classname="[^"<&\t\r\n]+" name="[^"<&\t\r\n]*"(?: file="[^"<&\t\r\n]*")?(?: line="[0-9]*")? time="[0-9.]+"'
_ENTITY = "&(?:lt|gt|amp|quot|apos|#10);"
_VALUE = f'"[^"<&\t\r\n]*+(?:{_ENTITY}[^"<&\t\r\n]*+)*+"'
_TEXT = f"[^<>&\r]*+(?:{_ENTITY}[^<>&\r]*+)*+"
_SAID = rf"<(failure|error|skipped)(?: type={_VALUE})?(?: message={_VALUE})?(?: ?/>|>{_TEXT}</\1>)"
_RUN = re.compile(rf"(?:<testcase {_WHOLE}(?: ?/>|>{_SAID}</testcase>)\s*+)++")
_CASE = re.compile(
    '<testcase classname="([^"]*)" name="([^"]*)"(?: file="([^"]*)")?(?: line="[^"]*")? time="([^"]*)"'
    '(?: ?/>|><(failure|error|skipped)(?: type="([^"]*)")?(?: message="([^"]*)")?(?: ?/>|>([^<]*)<))'
)
# A name that begins or ends with a space is another one here; pytest's own error is no test.
_NOT_PLAIN = (' "', '=" ', 'classname="pytest"')
_UNSURE = (b"<!", b"<?")
# The last one last: `&amp;lt;` is a text of four characters.
_MEANT = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&#10;", "\n"), ("&amp;", "&"))
_LONGEST_REST = 1_000_000
_LONGEST_RUN = 400_000  # of a longer text than this, the XML parser's reader keeps the beginning


class PlainCase(NamedTuple):
    """A test, and the element in it that says more: its name (empty of a test that passed), attributes and text."""

    classname: str
    name: str
    file: str
    time: str
    said: str
    kind: str
    message: str
    text: str


def unescaped(text: str) -> str:
    """Return *text* with the entities that a plain case may have in it replaced."""
    if "&" not in text:
        return text
    for entity, meant in _MEANT:
        text = text.replace(entity, meant)
    return text


class Cases(Protocol):
    """What follows the XML parser."""

    def between_cases(self) -> bool:
        """Say whether a case may come next."""

    def plain(self, cases: list[PlainCase]) -> bool:
        """Take *cases*; False, and nothing taken, where the XML parser has to read them."""


class Feeder:
    """Feeds a report to an XML parser, but for the plain cases, which it gives to *cases*.

    *cases* is None for a report that is not in UTF-8: then all of it is fed.
    """

    def __init__(self, feed: Callable[[bytes], object], cases: Cases | None) -> None:
        self._feed = feed
        self._cases = cases
        self._rest = b""
        self._begun = False
        self._sure = cases is not None
        self.fed = 0
        """How many bytes the XML parser has been given."""

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        text = self._rest + chunk
        declaration = b"" if self._begun else b"<?xml"
        if any(word in text.removeprefix(declaration) for word in _UNSURE):
            self._sure = False
        self._begun = True
        end = text.rfind(b">") + 1
        if not self._sure or len(text) - end > _LONGEST_REST:
            end = len(text)
        self._rest = text[end:]
        if self._sure:
            self._read(text[:end].decode())
        else:
            self._give(text[:end])

    def close(self) -> None:
        """Read what is left."""
        self._give(self._rest)

    def _read(self, text: str) -> None:
        position = 0
        for run in _RUN.finditer(text):
            if run.start() > position:
                self._give(text[position : run.start()].encode())
            position = run.end()
            if not self._taken(run.group()):
                self._give(run.group().encode())
        if position < len(text):
            self._give(text[position:].encode())

    def _taken(self, run: str) -> bool:
        cases = self._cases
        if cases is None or len(run) > _LONGEST_RUN or not cases.between_cases():
            return False
        found = list(map(PlainCase._make, _CASE.findall(run)))
        if any(unlike in run for unlike in _NOT_PLAIN) and not all(map(_plain, found)):
            return False
        return cases.plain(found)

    def _give(self, text: bytes) -> None:
        self.fed += len(text)
        self._feed(text)


def _plain(case: PlainCase) -> bool:
    names = (case.classname, case.name, case.file)
    return case.classname != "pytest" and all(name == name.strip() for name in names)
