"""What is read by pattern says what the XML parser would have said, or is left to the XML parser."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots.results import junit, junit_plain
from pybots.results.limits import ReportLimits
from pybots.results.outcome import Outcome, Report
from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

SAID = (
    '<failure message="a &amp;lt; b&#10;&quot;c&quot; &gt; \'d\'">E  a &lt; b &amp;lt; c\n "x" &apos;</failure>',
    '<failure message="a&#13;b">text</failure>',
    '<failure message="a&undefined;b">text</failure>',
    '<failure message="a\tb\nc">text</failure>',
    "<failure>a ]]> b</failure>",
    "<failure>a &#169; b</failure>",
    "<failure>a\r\nb \x1b[31m \ud83d\ude00 é \x00</failure>".encode("utf-16", "surrogatepass").decode(
        "utf-16"
    ),
    f'<failure message="long">{"x" * 450_000}</failure>',
    '<error message="failed on setup with &quot;OSError: x&quot;">text</error>',
    '<error message="collection failure">E   ImportError: x</error>',
    '<skipped type="pytest.skip" message="why">a.py:3: why</skipped>',
    '<skipped type="pytest.xfail" message="bpo-1"/>',
    '<skipped message="why" type="pytest.xfail" />',
    '<failure message="[XPASS(strict)] why"></failure>',
    '<failure type="ValueError">ValueError: x</failure>',
    "<failure/>",
    "<error />",
    "<failure>a</error>",
)
NEVER = re.compile("(?!)")
CASE = '<testcase classname="tests.test_a.TestB" name="{}" file="tests/test_a.py" line="1" time="0.1" />'


def parsed(text: str | bytes, *, by_pattern: bool = True, limits: ReportLimits | None = None) -> Report:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.MonkeyPatch.context() as patch:
        if not by_pattern:
            patch.setattr(junit_plain, "_RUN", NEVER)
        return parse_report(ReportFormat.JUNIT, io.BytesIO(content), limits)


def suite(*cases: str, name: str = "pytest") -> str:
    return f'<testsuites><testsuite name="{name}">{"".join(cases)}</testsuite></testsuites>'


@pytest.fixture
def by_parser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cases that the XML parser reads."""
    read: list[str] = []
    started = junit._Cases.start

    def start(self: junit._Cases, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            read.append(attributes.get("name", ""))
        started(self, tag, attributes)

    monkeypatch.setattr(junit._Cases, "start", start)
    return read


def test_most_tests_need_no_xml_parser(by_parser: list[str]) -> None:
    cases = [CASE.format(f"test_{number}") for number in range(2_000)]
    failed = CASE.format("test_bad").replace(" />", '><failure message="no">text</failure></testcase>')
    odd = CASE.format("test_odd").replace(" />", "><failure>no</failure><error>no</error></testcase>")
    report = parsed(suite(*cases[:999], failed, *cases[999:], odd))
    assert by_parser == ["test_odd"]
    assert report.problem == ""
    assert report.counts() == {Outcome.PASSED: 2_000, Outcome.FAILED: 1, Outcome.ERROR: 1}
    assert list(report.results)[999] == "tests/test_a.py::TestB::test_bad"
    assert report.results["tests/test_a.py::TestB::test_7"].seconds == 0.1


@pytest.mark.parametrize(
    "case",
    [
        CASE.format("a &lt; b"),
        CASE.format("ends with a space "),
        CASE.format("\u202edetour"),
        CASE.format("x" * 2_000),
        CASE.format("twice") * 2,
        CASE.format("a").replace("0.1", "1.2.3"),
        CASE.format("a").replace("tests.test_a.TestB", "pytest"),
        CASE.format("a").replace('classname="tests.test_a.TestB" ', ""),
        f"<!-- {CASE.format('commented_out')} -->",
        f"<![CDATA[{CASE.format('quoted')}]]>",
        f"<?instruction {CASE.format('processed')} ?>",
        f"<properties>{CASE.format('no place for it')}</properties>",
        CASE.format("outer").replace(" />", f"><failure>{CASE.format('inner')}</failure></testcase>"),
        *(CASE.format("failed").replace(" />", f">{said}</testcase>") for said in SAID),
    ],
)
def test_what_is_not_plain_is_left_to_the_xml_parser(case: str) -> None:
    text = suite(CASE.format("before"), case, CASE.format("after"))
    assert parsed(text) == parsed(text, by_pattern=False)


def test_a_test_known_already_is_compared_with_what_it_did() -> None:
    failed = CASE.format("a").replace(" />", '><failure message="no">text</failure></testcase>')
    assert parsed(suite(failed, CASE.format("a"))).counts() == {Outcome.FAILED: 1}


def test_no_more_tests_than_the_limit() -> None:
    text = suite(*(CASE.format(f"test_{number}") for number in range(20)))
    limits = ReportLimits(tests=10)
    assert parsed(text, limits=limits) == parsed(text, by_pattern=False, limits=limits)
    assert len(parsed(text, limits=limits).results) == 10


def test_cut_off_in_the_middle() -> None:
    text = suite(CASE.format("one"), CASE.format("two"))[:-60]
    report = parsed(text)
    assert report == parsed(text, by_pattern=False)
    assert "not whole XML" in report.problem


words = st.text(alphabet="ab:[]. é<&>'\t\n\x00\u2028=\"", max_size=6)
pieces = st.one_of(
    st.builds(
        lambda name, file, time, end: f'<testcase classname="t.T" name="{name}" {file}time="{time}"{end}',
        words,
        st.sampled_from(["", 'file="t.py" ', 'file="t.py" line="3" ', "file='t.py' "]),
        st.sampled_from(["0.1", "1", "..", "-1"]),
        st.one_of(
            st.sampled_from([" />", "/>", "></testcase>", "><skipped/></testcase>", ">", " /> \n"]),
            st.builds(
                lambda element, message, text: (
                    f'><{element} message="{message}">{text}</{element}></testcase>'
                ),
                st.sampled_from(["failure", "error", "skipped"]),
                words,
                st.one_of(words, st.sampled_from(["&lt;", "&amp;lt;", "&#10;", "&nbsp;", "]]&gt;"])),
            ),
        ),
    ),
    st.sampled_from(
        ["<!--", "-->", "<![CDATA[", "]]>", "</testsuite>", '<testsuite name="x">', "</testcase>"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=8), st.sampled_from(["pytest", "other"]))
def test_both_ways_read_the_same_wherever_the_xml_is_whole(parts: list[str], name: str) -> None:
    text = suite(*parts, name=name)
    slowly = parsed(text, by_pattern=False)
    if not slowly.problem:
        assert parsed(text) == slowly
