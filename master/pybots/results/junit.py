r"""Reads JUnit XML, as pytest writes it and as others do.

With pytest's `junit_family=xunit1` a test's name is pytest's node id (`tests/test_a.py::TestA::test_b[1]`);
with `xunit2`, which does not name the file, the same name is derived from the class's. A test that is
inherited from another file's class is named after the module that was collected. Other writers' tests are
called `classname.name`, which is unittest's id.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ErrorString

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.junit_plain import Feeder, PlainCase, unescaped
from pybots.results.outcome import Failure, Outcome

_CHUNK = 65_536
_CONTROLS = bytes(number for number in range(32) if number not in b"\t\n\r")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_EXCEPTION = re.compile(
    r'\s*(?:failed on (?:setup|teardown) with ")?((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?=:|"?\s*$)', re.MULTILINE
)
_OUTCOMES = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}
_TEXT_KEPT = 400_000
_LONGEST_TAG = 1_000_000
_DEEPEST = 100
_MOST_NAMES = 1_000


def read_junit(stream: BinaryIO, gathered: Gathering) -> None:
    """Read *stream* into *gathered*; what came before an error is kept, and the error is its problem."""
    cases = _Cases(gathered)
    parser = DefusedXMLParser(target=cases, forbid_dtd=True)
    first = stream.read(_CHUNK)
    in_utf_8 = _is_utf_8(first)
    feeder = Feeder(parser.feed, cases if in_utf_8 else None)
    try:
        for chunk in _well_encoded(first, stream) if in_utf_8 else _chunks(first, stream):
            feeder.feed(chunk)
            # Until a tag ends, the XML parser looks at all of it again for every chunk.
            if feeder.fed - parser.parser.CurrentByteIndex > _LONGEST_TAG:
                msg = f"a tag of the report is longer than {_LONGEST_TAG} bytes"
                raise LimitReachedError(msg)
        feeder.close()
        parser.close()
    except DefusedXmlException as error:
        gathered.problem(
            f"the report uses {type(error).__name__.removesuffix('Forbidden')}, which is refused"
        )
    except ParseError as error:
        # Without the place: what was read by pattern the XML parser has not counted.
        gathered.problem(f"the report is not whole XML: {ErrorString(error.code)}")
    except (ValueError, LookupError) as error:
        gathered.problem(f"the report is not whole XML: {error}")


def _is_utf_8(first: bytes) -> bool:
    declared = _DECLARED.match(first)
    utf16 = first.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
    return not (utf16 or (declared and declared[1].lower() not in {b"utf-8", b"utf8", b"us-ascii", b"ascii"}))


def _chunks(chunk: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while chunk:
        yield chunk
        chunk = stream.read(_CHUNK)


def _well_encoded(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yield what is in UTF-8 in chunks; what is not UTF-8, or not allowed in XML, is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in _chunks(first, stream):
        plain = chunk.isascii() and not decoder.getstate()[0]
        # Quicker than a pattern, and nearly all that there is.
        if plain and len(chunk.translate(None, _CONTROLS)) == len(chunk):
            yield chunk
        else:
            yield _NOT_XML.sub("\ufffd", decoder.decode(chunk)).encode()
    yield decoder.decode(b"", final=True).encode()


class _Cases:
    """What the XML parser calls: follows one `<testcase>` at a time and builds no tree."""

    def __init__(self, gathered: Gathering) -> None:
        self._gathered = gathered
        self._pytest = False
        self._case: Mapping[str, str] | None = None
        self._found: dict[Outcome, Failure] = {}
        self._child: tuple[str, Mapping[str, str]] | None = None
        self._text: list[str] = []
        self._text_length = 0
        self._root = ""
        self._open: list[str] = []
        self._prefixes = _Prefixes()
        self._names: set[str] = set()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._bound(tag, attributes)
        tag = _local(tag)
        if not self._root:
            self._root = tag
            if tag not in {"testsuites", "testsuite"}:
                self._gathered.problem(f"the report is not JUnit XML: it begins with <{tag[:40]}>")
        if tag == "testsuite":
            self._pytest = attributes.get("name") == "pytest"
            self._prefixes = _Prefixes(pytest=self._pytest)
        elif tag == "testcase":
            self._case, self._found, self._child = attributes, {}, None
        elif tag in _OUTCOMES and self._case is not None:
            self._child, self._text, self._text_length = (tag, attributes), [], 0

    def _bound(self, tag: str, attributes: Mapping[str, str]) -> None:
        # The XML parser keeps every name that it met, and a place for every element that is open.
        self._open.append(_local(tag))
        self._names.add(tag)
        self._names.update(attributes)
        if len(self._open) > _DEEPEST or len(self._names) > _MOST_NAMES:
            msg = f"the report is nested more than {_DEEPEST} deep"
            if len(self._names) > _MOST_NAMES:
                msg = f"the report has more than {_MOST_NAMES} kinds of elements and attributes"
            raise LimitReachedError(msg)

    def data(self, text: str) -> None:
        """Text within an element; only an outcome's is kept."""
        if self._child is not None and self._text_length < _TEXT_KEPT:
            self._text.append(text)
            self._text_length += len(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._open.pop()
        tag = _local(tag)
        if self._child is not None and tag == self._child[0]:
            outcome, failure = _outcome(tag, self._child[1], "".join(self._text))
            # An error at setup and a failure may stand side by side; ten million of one kind say no more than one.
            self._found.setdefault(outcome, failure)
            self._child = None
        elif tag == "testcase" and self._case is not None:
            self._ended(self._case)
            self._case = None

    def close(self) -> None:
        """The document has ended well."""

    def between_cases(self) -> bool:
        """Say whether a `<testcase>` may come next."""
        return self._case is None and self._open[-1:] == ["testsuite"]

    def plain(self, cases: list[PlainCase]) -> bool:
        """Take *cases*; False, and none taken, where they have to be read one by one."""
        try:
            seconds = [float(case.time) for case in cases]
        except ValueError:
            return False
        prefixes = self._prefixes
        names = [prefixes[case.classname, case.file] + case.name for case in cases]
        if not any(case.said for case in cases):
            return self._gathered.passed(names, seconds)
        for case, name, time in zip(cases, names, seconds, strict=True):
            self._took(case, name, time)
        return True

    def _took(self, case: PlainCase, name: str, seconds: float) -> None:
        if not case.said:
            self._gathered.ended(name, Outcome.PASSED, seconds)
            return
        attributes = {"message": unescaped(case.message), "type": unescaped(case.kind)}
        outcome, failure = _outcome(case.said, attributes, unescaped(case.text))
        if outcome is Outcome.ERROR and _not_collected({"classname": case.classname}, failure):
            self._gathered.not_collected(name, failure, outcome, seconds)
        else:
            self._gathered.ended(name, outcome, seconds, failure)

    def _ended(self, case: Mapping[str, str]) -> None:
        name = _name(case, pytest=self._pytest)
        seconds = _seconds(case.get("time", ""))
        if self._pytest and (case.get("classname"), case.get("name")) == ("pytest", "internal"):
            text = next(iter(self._found.values())).traceback if self._found else ""
            self._gathered.problem(f"pytest had an internal error: {text.strip().rpartition(chr(10))[2]}")
            return
        if not self._found:
            self._gathered.ended(name, Outcome.PASSED, seconds)
        for outcome, failure in self._found.items():
            if outcome is Outcome.ERROR and _not_collected(case, failure):
                self._gathered.not_collected(name, failure, outcome, seconds)
            else:
                self._gathered.ended(name, outcome, seconds, failure)


class _Prefixes(dict[tuple[str, str], str]):
    """What stands before a test's own name, by its class's name and its file."""

    def __init__(self, *, pytest: bool = False) -> None:
        super().__init__()
        self._pytest = pytest

    def __missing__(self, key: tuple[str, str]) -> str:
        classname, file = key
        prefix = _name({"classname": classname, "name": "", "file": file}, pytest=self._pytest)
        self[key] = prefix
        return prefix


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _outcome(tag: str, attributes: Mapping[str, str], text: str) -> tuple[Outcome, Failure]:
    message, kind = attributes.get("message", ""), attributes.get("type", "")
    outcome = _OUTCOMES[tag]
    if outcome is Outcome.SKIPPED:
        if kind == "pytest.xfail":
            outcome = Outcome.EXPECTED_FAILURE
        return outcome, Failure("", message or text.strip(), "")
    if message.startswith("[XPASS(strict)]"):
        return Outcome.UNEXPECTED_PASS, Failure("", message, "")
    return outcome, Failure(_exception(message, kind, text), message, text)


def _exception(message: str, kind: str, text: str) -> str:
    if message.startswith("assert "):
        return "AssertionError"
    named = _EXCEPTION.match(message)
    if named:
        return named[1]
    # A collection failure's message is always the same; its last line marked by pytest names the exception.
    marked = [line[1:].strip() for line in text[-20_000:].splitlines() if line.startswith("E ")]
    found = next((match[1] for line in reversed(marked) if (match := _EXCEPTION.match(line))), "")
    return found or kind


def _not_collected(case: Mapping[str, str], failure: Failure) -> bool:
    return (
        failure.message == "collection failure"
        or not case.get("classname")
        or "unittest.loader._FailedTest" in case["classname"]
    )


def _name(case: Mapping[str, str], *, pytest: bool) -> str:
    classname, name, file = (case.get(key, "") for key in ("classname", "name", "file"))
    if not (pytest or file):
        return f"{classname}.{name}" if classname else name
    if not classname:  # a module, not a test: it was skipped as a whole, or could not be collected
        return file if file and _dotted(file) == name else _path(name)
    module = _dotted(file) if file else ""
    if module and (classname == module or classname.startswith(f"{module}.")):
        classes = classname[len(module) + 1 :]
        return "::".join([file, *classes.split(".")] if classes else [file]) + f"::{name}"
    return f"{_derived(classname)}::{name}"


def _dotted(file: str) -> str:
    # What pytest makes of a file's name: `tests/test_a.py` is `tests.test_a`.
    return file.replace("\\", "/").replace("/", ".").removesuffix(".py")


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _derived(classname: str) -> str:
    # Classes begin with a capital letter, modules do not.
    parts = classname.split(".")
    first = next((index for index, part in enumerate(parts) if part.lstrip("_")[:1].isupper()), len(parts))
    return "::".join([_path(".".join(parts[:first])), *parts[first:]]) if first else "::".join(parts)


def _seconds(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0
