from __future__ import annotations

import io
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pybots.results.limits import ReportLimits
from pybots.results.outcome import Outcome, Report
from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

SUITE = {
    "conftest.py": "",
    "tests/__init__.py": "",
    "tests/base.py": """
class Shared:
    def test_inherited(self): pass
""",
    "tests/test_all.py": """
import unittest
import pytest
from tests.base import Shared

def test_passes(): pass
def test_fails():
    answer = 41
    assert answer == 42
def test_raises(): raise ValueError("bad \\x1b[31m magic \\x00")
@pytest.mark.skip(reason="no network")
def test_skipped(): pass
@pytest.mark.xfail(reason="bpo-1")
def test_expected(): assert 0
@pytest.mark.xfail(strict=True, reason="bpo-2")
def test_unexpected(): pass
@pytest.fixture
def broken(): raise OSError("no such device")
def test_setup(broken): pass
@pytest.fixture
def untidy():
    yield
    raise OSError("cannot tidy up")
def test_teardown(untidy): pass
def test_twice(untidy): assert 0
@pytest.mark.parametrize("value", ["a", "x.y::z[1]", "\\t", "\\x1b"])
def test_parameters(value): pass

class TestSub(Shared):
    def test_own(self): pass
    class TestNested:
        def test_deep(self): pass
class Case(unittest.TestCase):
    def test_unit(self): self.assertEqual(1, 2)
""",
    "tests/test_skips_itself.py": "import pytest\npytest.skip('not here', allow_module_level=True)\n",
    "tests/test_broken.py": "import no_such_module\ndef test_x(): pass\n",
}
EXPECTED = {
    "tests/test_all.py::test_passes": Outcome.PASSED,
    "tests/test_all.py::test_fails": Outcome.FAILED,
    "tests/test_all.py::test_raises": Outcome.FAILED,
    "tests/test_all.py::test_skipped": Outcome.SKIPPED,
    "tests/test_all.py::test_expected": Outcome.EXPECTED_FAILURE,
    "tests/test_all.py::test_unexpected": Outcome.UNEXPECTED_PASS,
    "tests/test_all.py::test_setup": Outcome.ERROR,
    "tests/test_all.py::test_teardown": Outcome.ERROR,
    "tests/test_all.py::test_twice": Outcome.ERROR,
    "tests/test_all.py::test_parameters[a]": Outcome.PASSED,
    "tests/test_all.py::test_parameters[x.y::z[1]]": Outcome.PASSED,
    "tests/test_all.py::test_parameters[\\t]": Outcome.PASSED,
    "tests/test_all.py::test_parameters[\\x1b]": Outcome.PASSED,
    "tests/test_all.py::TestSub::test_own": Outcome.PASSED,
    "tests/test_all.py::TestSub::test_inherited": Outcome.PASSED,
    "tests/test_all.py::TestSub::TestNested::test_deep": Outcome.PASSED,
    "tests/test_all.py::Case::test_unit": Outcome.FAILED,
    "tests/test_skips_itself.py": Outcome.SKIPPED,
    "tests/test_broken.py": Outcome.ERROR,
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    for name, text in SUITE.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@cache
def run_pytest(folder: Path, family: str) -> tuple[Report, int]:
    options = ["-p", "no:cacheprovider", "-o", f"junit_family={family}", "--junit-xml=report.xml"]
    command = [sys.executable, "-m", "pytest", *options, "--continue-on-collection-errors", "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    return parse(folder.joinpath("report.xml").read_bytes()), done.returncode


def parse(data: bytes, limits: ReportLimits | None = None) -> Report:
    return parse_report(ReportFormat.JUNIT, io.BytesIO(data), limits)


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_pytests_own_report(suite: Path, family: str) -> None:
    report, status = run_pytest(suite, family)
    assert status == 1
    assert report.problem == ""
    assert {name: result.outcome for name, result in report.results.items()} == EXPECTED
    assert report.collection_errors == ("tests/test_broken.py",)


def test_what_pytest_says_of_failures(suite: Path) -> None:
    results = run_pytest(suite, "xunit1")[0].results
    assert {name.rpartition("::")[2]: r.failure.exception for name, r in results.items() if r.failure} == {
        "test_fails": "AssertionError",
        "test_raises": "ValueError",
        "test_skipped": "",
        "test_expected": "",
        "test_unexpected": "",
        "test_setup": "OSError",
        "test_teardown": "OSError",
        "test_twice": "OSError",
        "test_unit": "AssertionError",
        "tests/test_skips_itself.py": "",
        "tests/test_broken.py": "ModuleNotFoundError",
    }
    failed = results["tests/test_all.py::test_fails"].failure
    assert failed is not None
    assert failed.message == "assert 41 == 42"
    assert "answer = 41" in failed.traceback
    raised = results["tests/test_all.py::test_raises"].failure
    assert raised is not None
    assert "\x1b" not in raised.message
    skipped = results["tests/test_all.py::test_skipped"].failure
    assert skipped is not None
    assert skipped.message == "no network"


def case(inner: str = "", **attributes: str) -> str:
    written = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"<testcase {written}>{inner}</testcase>"


def document(*cases: str, suite: str = "pytest") -> bytes:
    inner = f'<testsuite name="{suite}">{"".join(cases)}</testsuite>'
    return f'<?xml version="1.0"?><testsuites>{inner}</testsuites>'.encode()


PASS = case(classname="tests.test_a", name="test_b", file="tests/test_a.py")


def test_other_writers_names_are_unittests() -> None:
    report = parse(document(case(classname="pkg.test_a.TestA", name="test_b", time="1,000.5"), suite="TestA"))
    assert list(report.results) == ["pkg.test_a.TestA.test_b"]
    assert report.results["pkg.test_a.TestA.test_b"].seconds == 1000.5


def test_a_prefix_of_the_class_does_not_confuse() -> None:
    report = parse(document(case(classname="py39.tests.test_a.TestA", name="test_b", file="tests/test_a.py")))
    assert list(report.results) == ["py39/tests/test_a.py::TestA::test_b"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_results_with_one_name_the_worst_stands(order: tuple[int, int]) -> None:
    twice = [
        PASS,
        case('<failure message="no"/>', classname="tests.test_a", name="test_b", file="tests/test_a.py"),
    ]
    report = parse(document(*(twice[index] for index in order)))
    assert [result.outcome for result in report.results.values()] == [Outcome.FAILED]


def test_a_report_that_is_cut_keeps_what_came_before() -> None:
    report = parse(document(PASS, case(classname="c", name="d"))[:-60])
    assert "tests/test_a.py::test_b" in report.results
    assert "not whole XML" in report.problem


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>
<testsuite><testcase classname="a" name="&lol2;"/></testsuite>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<testsuite><testcase classname="a" name="&x;"/></testsuite>"""


@pytest.mark.parametrize("data", [BOMB, OUTSIDE], ids=["entities", "external"])
def test_documents_that_define_entities_are_refused(data: bytes) -> None:
    report = parse(data)
    assert report.results == {}
    assert "refused" in report.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not whole XML"),
        (b"<html></html>", "not JUnit XML: it begins with <html>"),
        (b"Traceback (most recent call last):", "not whole XML"),
        (b"<?xml version='1.0' encoding='klingon'?><testsuite/>", "not whole XML"),
    ],
)
def test_what_is_no_report_says_so(data: bytes, problem: str) -> None:
    assert problem in parse(data).problem


def test_pytests_internal_error_is_the_reports_problem() -> None:
    error = case(
        '<error message="internal error">x\nINTERNALERROR&gt; KeyError: 1</error>',
        classname="pytest",
        name="internal",
    )
    assert parse(document(PASS, error)).problem == "pytest had an internal error: INTERNALERROR> KeyError: 1"


def test_bytes_that_are_not_utf8_and_control_characters() -> None:
    data = document(PASS).replace(b"test_b", b"test_\xff\x01\xef\xbf\xbe")
    report = parse(data)
    assert report.problem == ""
    assert list(report.results) == ["tests/test_a.py::test_\ufffd\ufffd\ufffd"]


def test_utf16() -> None:
    text = document(PASS).decode().replace("?>", ' encoding="utf-16"?>', 1)
    assert list(parse(text.encode("utf-16")).results) == ["tests/test_a.py::test_b"]


def test_limits() -> None:
    limits = ReportLimits(tests=2, name=40, message=10, traceback=100)
    text = case(f'<failure message="{"m" * 50}">{"t" * 500}</failure>', classname="c", name="n" * 200)
    other = case(classname="c", name="n" * 200 + "x")
    report = parse(document(text, other, PASS, suite="x"), limits)
    assert report.problem == "the report names more than 2 tests"
    names = list(report.results)
    assert len(set(names)) == 2
    assert all(len(name) <= 40 for name in names)
    failure = report.results[names[0]].failure
    assert failure is not None
    assert (len(failure.message), len(failure.traceback) <= 100) == (10, True)


def test_a_report_that_is_too_long_says_so() -> None:
    report = parse(document(PASS, PASS), ReportLimits(read_bytes=150))
    assert report.problem == "the report is longer than 150 bytes"


def test_all_text_together_is_bounded() -> None:
    failing = [
        case(f"<failure message='m'>{'t' * 90}</failure>", classname="c", name=f"n{n}") for n in range(10)
    ]
    report = parse(document(*failing, suite="x"), ReportLimits(all_text=500))
    kept = sum(len(result.failure.traceback) for result in report.results.values() if result.failure)
    assert (len(report.results), 0 < kept <= 500) == (10, True)
