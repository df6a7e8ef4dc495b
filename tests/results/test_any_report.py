"""Whatever a report holds, reading it neither raises nor hangs, and says what it knows."""

from __future__ import annotations

import io
import json
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subunit import StreamResultToBytes

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.jsonlines import read_json_lines
from pybots.results.junit import read_junit
from pybots.results.limits import ReportLimits
from pybots.results.lines import bounded_lines
from pybots.results.outcome import BAD, Failure, Outcome, Report
from pybots.results.parse import parse_report, read_subunit
from pybots_worker.contract import ReportFormat

READERS = {"junit": read_junit, "subunit": read_subunit, "jsonlines": read_json_lines}
OUTCOMES = set(Outcome) - {Outcome.ABSENT}

JUNIT = b"""<?xml version="1.0"?><testsuites><testsuite name="pytest"><testcase classname="t.T" name="a[1]" file="t.py"
 time="0.1"><failure message="ValueError: x">E  y</failure></testcase><testcase classname="" name="t">
<error message="collection failure">z</error></testcase><testcase><skipped type="pytest.xfail" message="m"/></testcase>
</testsuite></testsuites>"""
V1 = (
    b'test: a.B.c\nfailure: a.B.c [\n File "x", line 1\nE: m\n]\n'
    b"test: a.B.d\nskip: a.B.d [ multipart\nContent-Type: text/plain\nreason\n3\r\nabc0\r\n]\n"
)


def version_2() -> bytes:
    stream = io.BytesIO()
    out = StreamResultToBytes(stream)
    for status in ("inprogress", "success", "fail"):
        out.status(
            test_id="a.B.c", test_status=status, file_name="x", file_bytes=b"y", mime_type="text/plain"
        )
    return stream.getvalue()


V2 = version_2()
LINES = (
    b'{"pybots": 1}\n{"started": "a"}\n{"test": "a", "outcome": "failed", "message": "m"}\n{"end": true}\n'
)
VALID = [JUNIT, V1, V2, LINES]
PIECES = [
    b"<testcase",
    b">",
    b"]\n",
    b" [\n",
    b"test: ",
    b"\n",
    b"&#0;",
    b"\xb3\x2b",
    b"\xff",
    b"]]>",
    b"<![CDATA[",
    b"{",
    b"\x00",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        upto = draw(st.integers(at, min(len(data), at + 30)))
        data[at:upto] = draw(
            st.one_of(st.binary(max_size=5), st.sampled_from(PIECES), st.sampled_from(VALID))
        )
    return bytes(data)


def read(reader: str, data: bytes) -> Report:
    gathered = Gathering(ReportLimits(tests=50, name=100, message=50, traceback=200, line_bytes=300))
    stream = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    try:
        READERS[reader](stream, gathered)
    except LimitReachedError as error:
        gathered.problem(str(error))
    return gathered.report()


@pytest.mark.parametrize("reader", READERS)
@given(data=st.one_of(mutated(), st.binary(max_size=300)))
@settings(deadline=5_000, max_examples=150)
def test_anything_is_read(reader: str, data: bytes) -> None:
    """The readers themselves, without `parse_report`, which would catch what they let through."""
    report = read(reader, data)
    for name, result in report.results.items():
        assert result.outcome in OUTCOMES
        assert name == result.name
        assert 0 < len(name) <= 100
        assert name.isprintable() or not any(ord(character) < 32 for character in name)
        name.encode()
        if result.failure:
            assert len(result.failure.message) <= 50
            assert len(result.failure.traceback) <= 200
    assert set(report.collection_errors) <= set(report.results)


@given(data=mutated(), format=st.sampled_from(ReportFormat))
@settings(deadline=5_000)
def test_a_report_without_results_says_why(data: bytes, format: ReportFormat) -> None:  # noqa: A002
    report = parse_report(format, io.BytesIO(data))
    if format in {ReportFormat.UNITTEST, ReportFormat.DJANGO} and not report.problem:
        assert b'"end"' in data
    elif format is ReportFormat.SUBUNIT:
        assert report.results or report.problem


# --- round trips --------------------------------------------------------------------------------------------

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12).map("t".__add__)
FAILING = st.sampled_from(sorted(BAD - {Outcome.UNEXPECTED_PASS}))
TESTS = st.dictionaries(WORDS, st.sampled_from(sorted(OUTCOMES)), max_size=20)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)


@given(TESTS, TEXT)
@settings(deadline=None)
def test_lines_of_json_come_back(tests: dict[str, Outcome], text: str) -> None:
    lines: list[dict[str, object]] = [{"pybots": 1}]
    lines += [{"test": name, "outcome": outcome, "message": text} for name, outcome in tests.items()]
    lines.append({"end": True, "collected": len(tests), "deselected": 0})
    report = read("jsonlines", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert (report.problem, report.collected) == ("", len(tests))
    assert {name: result.outcome for name, result in report.results.items()} == tests
    assert {result.failure for result in report.results.values()} <= {Failure("", text, "")}


CHILDREN = {
    Outcome.PASSED: "",
    Outcome.FAILED: "<failure message={0}>{1}</failure>",
    Outcome.ERROR: "<error message={0}>{1}</error>",
    Outcome.SKIPPED: '<skipped type="pytest.skip" message={0}>{1}</skipped>',
    Outcome.EXPECTED_FAILURE: '<skipped type="pytest.xfail" message={0}/>',
    Outcome.UNEXPECTED_PASS: '<failure message="[XPASS(strict)] {1}"/>',
}


@given(TESTS, TEXT)
@settings(deadline=None)
def test_junit_comes_back(tests: dict[str, Outcome], text: str) -> None:
    safe = escape(text, {'"': "&quot;"})
    children = {outcome: child.format(quoteattr(text), safe) for outcome, child in CHILDREN.items()}
    cases = "".join(
        f'<testcase classname="m.T" name="{name}" file="m.py">{children[outcome]}</testcase>'
        for name, outcome in tests.items()
    )
    report = read("junit", f'<testsuite name="pytest">{cases}</testsuite>'.encode())
    assert report.problem == ""
    assert {name: result.outcome for name, result in report.results.items()} == {
        f"m.py::T::{name}": outcome for name, outcome in tests.items()
    }


KEYWORDS = {
    Outcome.PASSED: "successful",
    Outcome.FAILED: "failure",
    Outcome.ERROR: "error",
    Outcome.SKIPPED: "skip",
    Outcome.EXPECTED_FAILURE: "xfail",
    Outcome.UNEXPECTED_PASS: "uxsuccess",
}


@given(TESTS, TEXT, st.booleans())
@settings(deadline=None)
def test_subunit_comes_back(tests: dict[str, Outcome], text: str, noisy: bool) -> None:
    stream = "".join(
        f"test: m.T.{name}\n{text if noisy else ''}{KEYWORDS[outcome]}: m.T.{name}"
        f"{'' if outcome in {Outcome.PASSED, Outcome.UNEXPECTED_PASS} else f' [{chr(10)}x: {text}{chr(10)}]'}\n"
        for name, outcome in tests.items()
    )
    report = read("subunit", stream.encode())
    assert report.problem == ("" if tests else "the report holds no subunit")
    assert {name: result.outcome for name, result in report.results.items()} == {
        f"m.T.{name}": outcome for name, outcome in tests.items()
    }


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(2, 20))
def test_bounded_lines_keep_line_ends(data: bytes, longest: int) -> None:
    lines = list(bounded_lines(io.BytesIO(data), longest))
    assert len(lines) == len(io.BytesIO(data).readlines())
    for line, whole in zip(lines, io.BytesIO(data).readlines(), strict=True):
        assert line.endswith(b"\n") == whole.endswith(b"\n")
        assert whole.startswith(line.removesuffix(b"\n"))
        assert len(line) <= longest + 1
