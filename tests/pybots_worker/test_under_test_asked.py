"""Tests that are run alone, by the names that the master gave them: real runners, and the master's own readers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.results import junit
from pybots.results.limits import ReportLimits
from pybots.results.outcome import Outcome, Report
from pybots.results.parse import parse_report
from pybots.results.text import safe_name as name_in_results
from pybots_worker.contract import ReportFormat
from pybots_worker.runs.place import UNDER_TEST
from pybots_worker.runs.selection import runs_pytest, selecting_variables, was_selected

sys.path.append(str(UNDER_TEST))
import pybots_names  # type: ignore[import-not-found]

PYTHON = sys.executable


@dataclass(frozen=True)
class Ran:
    report: Report
    status: int
    selected: bool
    said: str

    @property
    def names(self) -> set[str]:
        return set(self.report.results)


@dataclass
class Suite:
    """A folder with a suite, the command that runs it, and the report that this writes."""

    folder: Path
    report: ReportFormat
    command: list[str]
    directory: str = "."
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, tests: list[str] | None = None) -> Ran:
        report, asked, selected = (self.folder / name for name in ("report", "asked.json", "selected"))
        for path in (report, selected):
            path.unlink(missing_ok=True)
        environment = {"PATH": os.defpath, "PYTHONPATH": str(UNDER_TEST), "PYBOTS_REPORT": str(report)}
        environment |= self.environment
        if tests is not None:
            asked.write_text(json.dumps(tests))
            environment |= selecting_variables(self.command, self.report, environment, asked, selected)
        done = subprocess.run(
            [argument.replace("{report}", str(report)) for argument in self.command],
            cwd=self.folder / self.directory,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=120,
            check=False,
        )
        if self.report is ReportFormat.SUBUNIT:
            report.write_bytes(done.stdout)
        with report.open("rb") as stream:
            read = parse_report(self.report, stream)
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        return Ran(read, done.returncode, was_selected(selected), said)

    def only(self, *tests: str) -> Ran:
        """Run these alone; what is reported is what was asked for."""
        ran = self.run(list(tests))
        assert ran.names == set(tests), ran.said
        assert ran.selected
        return ran


NASTY = r"""
import pytest, unittest

@pytest.mark.parametrize("text", [
    "a::b", "a/b.py", "[x]", "<&>\"'", "ü", "😀", "\x1b[0m", "\t", "\n", " lead and trail ", "", "a\\b", "--",
    "x" * 3000, "x" * 3000 + "y",
], ids=lambda text: text)
def test_text(text): pass

@pytest.mark.parametrize("text", ["\x00\ud800", "\u202e"], ids=str)
def test_odd(text): pass

@pytest.mark.parametrize("b", [1, 2])
@pytest.mark.parametrize("a", [1.5, None])
def test_two(a, b): assert (a, b) != (None, 2)

class TestA:
    class TestB:
        def test_deep(self): pass
    def test_a(self): pass

class lower_case:
    pass

class test_small(unittest.TestCase):
    def test_small(self): pass

class TestCase(unittest.TestCase):
    def test_parts(self):
        for part in range(3):
            with self.subTest(part=part):
                self.assertNotEqual(part, 1)
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    def test_skipped(self): self.skipTest("now")

@pytest.fixture
def broken():
    yield
    raise RuntimeError("at teardown")

def test_teardown(broken): pass
"""
FAMILIES = ["-ojunit_family=xunit1", "-ojunit_family=xunit2", "-ojunit_family=legacy"]


def pytest_suite(folder: Path, *options: str, directory: str = ".") -> Suite:
    tests = folder / "deep" / "tests"
    tests.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (tests / "test_nasty.py").write_text(NASTY)
    (tests / "test_other.py").write_text("from test_nasty import TestA\ndef test_a(): pass\n")
    command = [PYTHON, "-m", "pytest", "-q", "-pno:cacheprovider", "--junit-xml={report}", *options]
    return Suite(folder, ReportFormat.JUNIT, command, directory)


@pytest.mark.parametrize(
    "options", [*([family] for family in FAMILIES), ["--junit-prefix=pre.fix"], ["-ojunit_suite_name=own"]]
)
def test_pytest_runs_each_by_its_name(tmp_path: Path, options: list[str]) -> None:
    suite = pytest_suite(tmp_path, *options, directory="deep")
    whole = suite.run()
    assert len(whole.names) >= 28
    assert not whole.selected
    odd = [name for name in whole.names if "test_two" not in name]
    ran = suite.only(*odd)
    assert {name: result.outcome for name, result in ran.report.results.items()} == {
        name: whole.report.results[name].outcome for name in odd
    }
    suite.only(max(odd, key=len))


def test_pytest_runs_an_inherited_test_where_it_was_asked_for(tmp_path: Path) -> None:
    suite = pytest_suite(tmp_path, FAMILIES[0])
    suite.only("deep/tests/test_other.py::TestA::test_a")
    failed = suite.only(
        "deep/tests/test_nasty.py::TestCase::test_parts", "deep/tests/test_nasty.py::test_teardown"
    )
    assert (failed.status, set(map(str, failed.report.counts()))) == (1, {"failed", "error"})


def test_pytest_passes_over_names_that_are_gone_and_runs_none_when_none_is_asked_for(tmp_path: Path) -> None:
    suite = pytest_suite(tmp_path, FAMILIES[0])
    kept = "deep/tests/test_other.py::test_a"
    assert suite.run([kept, "deep/tests/test_gone.py::test_b"]).names == {kept}
    none = suite.run([])
    assert (none.status, none.names, none.selected) == (5, set(), True)


def test_pytest_reports_what_cannot_be_collected_when_no_test_is_asked_for(tmp_path: Path) -> None:
    suite = pytest_suite(tmp_path, FAMILIES[0])
    (tmp_path / "deep" / "tests" / "test_broken.py").write_text("import nothing_of_that_name\n")
    none = suite.run([])
    assert (none.status, none.report.collection_errors) == (2, ("deep/tests/test_broken.py",))


def test_names_that_occur_twice_are_all_run(tmp_path: Path) -> None:
    (tmp_path / "test_x").mkdir()
    (tmp_path / "test_x.py").write_text("class TestA:\n def test_y(self): pass\n")
    (tmp_path / "test_x" / "TestA.py").write_text("def test_y(): assert False\n")
    command = [PYTHON, "-m", "pytest", "--junit-xml={report}", FAMILIES[1], "test_x.py", "test_x/TestA.py"]
    suite = Suite(tmp_path, ReportFormat.JUNIT, command)
    ran = suite.only("test_x.py::TestA::test_y")
    assert ran.report.counts()[Outcome.FAILED] == 1
    assert "1 failed, 1 passed" in ran.said


INNER = """
import os, subprocess, sys
def test_inner(tmp_path):
    (tmp_path / "test_in.py").write_text("def test_a(): pass\\ndef test_b(): pass\\n")
    done = subprocess.run([sys.executable, "-m", "pytest", tmp_path], stdout=subprocess.PIPE, text=True)
    assert "2 passed" in done.stdout, done.stdout
    assert os.environ.get("PYTEST_ADDOPTS", "") == %r
def test_other(): pass
"""


@pytest.mark.parametrize("own", ["", "-q --durations=3"])
def test_a_pytest_that_the_suite_starts_runs_all(tmp_path: Path, own: str) -> None:
    (tmp_path / "test_it.py").write_text(INNER % own)
    command = [PYTHON, "-m", "pytest", "--junit-xml={report}", FAMILIES[0]]
    suite = Suite(tmp_path, ReportFormat.JUNIT, command, environment={"PYTEST_ADDOPTS": own} if own else {})
    ran = suite.only("test_it.py::test_inner")
    assert ran.status == 0, ran.said
    assert ("slowest 3 durations" in ran.said) is bool(own)


@pytest.mark.parametrize(
    ("command", "known"),
    [
        (["{python}", "-m", "pytest"], True),
        (["{python}", "-Werror::EncodingWarning", "-m", "pytest", "tests"], True),
        (["{source}/../venv/bin/pytest", "-n2"], True),
        (["{python}", "-m", "coverage", "run", "-m", "pytest"], True),
        (["{python}", "-I", "-m", "pytest"], False),
        (["{python}", "-bbE", "-m", "pytest"], False),
        (["{python}", "runtests.py", "pytest"], False),
        (["tox", "-e", "py"], False),
    ],
)
def test_pytest_is_known_by_its_command(command: list[str], known: bool) -> None:
    assert runs_pytest(command) is known


UNITTEST = """
import unittest
def setUpModule(): pass
class A(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no")
    def test_a(self): pass
    def test_b(self): pass
class B(unittest.TestCase):
    def test_a(self): pass
    def test_b(self):
        for part in range(3):
            with self.subTest(part=part): self.assertNotEqual(part, 1)
    @unittest.skip("later")
    def test_c(self): pass
def load_tests(loader, tests, pattern):
    tests.addTest(unittest.FunctionTestCase(setUpModule, description="function"))
    return tests
"""


@pytest.fixture(params=["unittest", "trial"])
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Suite:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "test_it.py").write_text(UNITTEST)
    if request.param == "trial":
        command = [PYTHON, "-m", "pybots_trial", "--reporter=subunit", "pack"]
        return Suite(tmp_path, ReportFormat.SUBUNIT, command)
    return Suite(
        tmp_path, ReportFormat.UNITTEST, [PYTHON, "-m", "pybots_unittest", "discover", "-t", ".", "pack"]
    )


def test_unittest_and_trial_run_each_by_its_name(suite: Suite) -> None:
    whole = suite.run()
    outcomes = {name: result.outcome for name, result in whole.report.results.items()}
    assert not whole.selected
    assert {f"pack.test_it.B.test_{letter}" for letter in "abc"} < set(outcomes)
    names = sorted(outcomes)
    for some in (names[::2], names[1::2], names[-1:], [name for name in names if name.startswith("setUp")]):
        assert {name: result.outcome for name, result in suite.only(*some).report.results.items()} == {
            name: outcomes[name] for name in some
        }
    assert suite.run(["pack.test_it.B.test_a", "pack.test_it.B.gone"]).names == {"pack.test_it.B.test_a"}


def test_unittest_and_trial_only_collect(suite: Suite) -> None:
    none = suite.run([])
    assert (none.names, none.selected, none.status in {0, 5}) == (set(), True, True)
    (suite.folder / "pack" / "test_broken.py").write_text("import nothing_of_that_name\n")
    broken = suite.run([])
    assert [name.endswith("test_broken") for name in broken.report.collection_errors] == [True], broken.said


@given(st.text(), st.integers(20, 60))
def test_names_are_made_safe_as_the_master_makes_them(raw: str, length: int) -> None:
    assert pybots_names.safe_name(raw, length) == name_in_results(raw, length)


@given(
    *[st.text("aA_./\\", max_size=8) | st.sampled_from(["tests.test_a.TestA", "tests/test_a.py"])] * 3,
    st.booleans(),
)
def test_junit_names_are_those_of_the_master(classname: str, name: str, file: str, is_pytest: bool) -> None:
    case = {"classname": classname, "name": name, "file": file}
    assert pybots_names.junit_name(classname, name, file, is_pytest) == junit._name(case, pytest=is_pytest)


def test_names_are_as_long_as_the_master_keeps_them() -> None:
    assert ReportLimits().name == pybots_names.NAME_CHARACTERS


def test_trial_that_a_test_asks_for_a_suite_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "test_it.py").write_text(
        "import unittest\nfrom twisted.scripts import trial\nclass A(unittest.TestCase):\n"
        " def test_a(self):\n  options = trial.Options()\n  options.parseOptions(['pack.test_it'])\n"
        "  self.assertEqual(trial._getSuite(options).countTestCases(), 2)\n def test_b(self): pass\n"
    )
    command = [PYTHON, "-m", "pybots_trial", "--reporter=subunit", "pack"]
    name = "pack.test_it.A.test_a"
    ran = Suite(tmp_path, ReportFormat.SUBUNIT, command).only(name)
    assert ran.report.results[name].outcome is Outcome.PASSED, ran.said
