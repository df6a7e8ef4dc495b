"""The reporters, run by every Python that this machine has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.runs.place import UNDER_TEST


def pythons() -> list[str]:
    """PYBOTS_TEST_PYTHONS (paths), or python3.9, python3.10, ... on PATH and below ~/.pyenv; ours at least."""
    given = os.environ.get("PYBOTS_TEST_PYTHONS", "")
    if given:
        return given.split(os.pathsep)
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for minor in range(9, 17):
        name = f"3.{minor}"
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name}.*/bin/python{name}"))
        candidate = str(kept[-1]) if kept else shutil.which(f"python{name}")
        if candidate and _starts(candidate):
            found.setdefault(name, candidate)
    return list(found.values())


def _starts(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def report(
    folder: Path,
    suite: str,
    *,
    python: str = sys.executable,
    deselect: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
    (folder / "test_it.py").write_text(suite)
    (folder / "deselect.json").write_text(json.dumps(deselect))
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(UNDER_TEST),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYBOTS_REPORT": str(folder / "report"),
        "PYBOTS_DESELECT": str(folder / "deselect.json"),
    }
    command = [python, "-m", "pybots_unittest", *options]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return [json.loads(line) for line in (folder / "report").read_text().splitlines()], done


def outcomes(lines: list[dict[str, Any]]) -> dict[str, str]:
    named = [(line["test"], line["outcome"]) for line in lines if "test" in line]
    assert len(named) == len(dict(named)), "each test is reported once"
    return dict(named)


EVERYTHING = """
import os, unittest
class T(unittest.TestCase):
    def test_passed(self): pass
    def test_failed(self): self.assertEqual(1, 2)
    def test_error(self): raise KeyError("missing")
    @unittest.skip("not here")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail("known")
    @unittest.expectedFailure
    def test_unexpected(self): pass
    def test_parts_passed(self):
        for n in range(3):
            with self.subTest(n=n): pass
    def test_part_failed(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
    def test_part_error(self):
        with self.subTest("named"): raise ValueError("inside")
    def test_part_skipped(self):
        for n in range(2):
            with self.subTest(n=n):
                if n: self.skipTest("this part")
    def test_all_parts_skipped(self):
        with self.subTest(n=1): self.skipTest("all of it")
    def test_failed_twice(self):
        self.addCleanup(lambda: 1 / 0)
        self.fail("first")
    def test_bad_text(self): raise RuntimeError("\\udc80\\0 snow \\u2603")
    def test_broken_message(self):
        class Broken(Exception):
            def __str__(self): raise ValueError("no text")
        raise Broken()
    def test_long(self): self.fail("x" * 100000)
    def test_forks(self):
        if os.fork() == 0:
            unittest.TextTestRunner(open(os.devnull, "w"), resultclass=type(self._outcome.result)).run(T("test_passed"))
            os._exit(0)
        os.wait()
class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("no server")
    def test_a(self): pass
class Absent(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("no database")
    def test_a(self): pass
    def test_b(self): pass
class Untidy(unittest.TestCase):
    @classmethod
    def tearDownClass(cls): raise OSError("still open")
    def test_a(self): pass
"""
EXPECTED = {
    "test_it.T.test_passed": "passed",
    "test_it.T.test_failed": "failed",
    "test_it.T.test_error": "error",
    "test_it.T.test_skipped": "skipped",
    "test_it.T.test_expected": "expected-failure",
    "test_it.T.test_unexpected": "unexpected-pass",
    "test_it.T.test_parts_passed": "passed",
    "test_it.T.test_part_failed": "failed",
    "test_it.T.test_part_error": "error",
    "test_it.T.test_part_skipped": "passed",
    "test_it.T.test_all_parts_skipped": "skipped",
    "test_it.T.test_failed_twice": "failed",
    "test_it.T.test_bad_text": "error",
    "test_it.T.test_broken_message": "error",
    "test_it.T.test_long": "failed",
    "test_it.T.test_forks": "passed",
    "setUpClass (test_it.Broken)": "error",
    "test_it.Absent.test_a": "skipped",
    "test_it.Absent.test_b": "skipped",
    "test_it.Untidy.test_a": "passed",
    "tearDownClass (test_it.Untidy)": "error",
}


@pytest.mark.parametrize("python", pythons())
def test_every_outcome(tmp_path: Path, python: str) -> None:
    lines, done = report(tmp_path, EVERYTHING, python=python)
    assert outcomes(lines) == EXPECTED, done.stderr
    assert lines[0] == {"pybots": 1, "kind": "unittest"}
    assert lines[-1] == {"end": True, "collected": 20, "deselected": 0}
    assert done.returncode == 1
    by_name = {line["test"]: line for line in lines if "test" in line}
    failed = by_name["test_it.T.test_failed"]
    assert (failed["exception"], failed["message"]) == ("AssertionError", "1 != 2")
    assert failed["traceback"].startswith("Traceback")
    assert "test_it.py" in failed["traceback"]
    assert by_name["test_it.T.test_skipped"]["message"] == "not here"
    assert by_name["test_it.Absent.test_b"]["message"] == "no database"
    assert by_name["test_it.T.test_part_failed"]["message"].startswith("(n=1) ")
    assert by_name["test_it.T.test_failed_twice"]["message"] == "first"
    assert len(by_name["test_it.T.test_long"]["message"]) < 5000
    assert [line["started"] for line in lines if "started" in line][:1] == [
        next(iter(outcomes(lines)))
    ] or done.stderr


def test_package_that_is_skipped_does_not_skip_its_modules(tmp_path: Path) -> None:
    """Nor does a class skip one that it holds."""
    package = tmp_path / "test_package"
    package.mkdir()
    skips = "import unittest\ndef setUpModule(): raise unittest.SkipTest('not here')\n"
    case = "class T(unittest.TestCase):\n def test_a(self): pass\n"
    (package / "__init__.py").write_text(skips + case)
    (package / "test_module.py").write_text("import unittest\n" + case)
    holder = """
import unittest
class T(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("not here")
    def test_a(self): pass
    class Inner(unittest.TestCase):
        def test_a(self): pass
def load_tests(loader, tests, pattern):
    tests.addTests(loader.loadTestsFromTestCase(T.Inner))
    return tests
"""
    lines, done = report(tmp_path, holder, options=("test_package", "test_package.test_module", "test_it"))
    assert outcomes(lines) == {
        "test_package.T.test_a": "skipped",
        "test_package.test_module.T.test_a": "passed",
        "test_it.T.test_a": "skipped",
        "test_it.T.Inner.test_a": "passed",
    }, done.stderr


@pytest.mark.parametrize("python", pythons())
def test_crash_leaves_what_ran_and_what_was_running(tmp_path: Path, python: str) -> None:
    suite = "import os, unittest\nclass T(unittest.TestCase):\n def test_a(self): pass\n def test_b(self): os.abort()\n"
    lines, done = report(tmp_path, suite, python=python)
    assert done.returncode == -6
    assert outcomes(lines) == {"test_it.T.test_a": "passed"}
    assert lines[-1] == {"started": "test_it.T.test_b"}


@pytest.mark.parametrize("python", pythons())
def test_module_that_cannot_be_imported(tmp_path: Path, python: str) -> None:
    lines, _done = report(tmp_path, "import no_such_module\n", python=python)
    [line] = [line for line in lines if "test" in line]
    assert (line["test"], line["outcome"], line["collection_error"]) == ("test_it", "error", True)
    assert "No module named 'no_such_module'" in line["traceback"]


@pytest.mark.parametrize(
    ("deselect", "left"),
    [
        (("test_it.T.test_a",), {"test_it.T.test_ab", "test_it.U.test_a"}),
        (("test_it.T",), {"test_it.U.test_a"}),
        (("test_it",), set()),
        (("test_other",), {"test_it.T.test_a", "test_it.T.test_ab", "test_it.U.test_a"}),
    ],
)
def test_deselected(tmp_path: Path, deselect: tuple[str, ...], left: set[str]) -> None:
    suite = """
import unittest
class T(unittest.TestCase):
    def test_a(self): pass
    def test_ab(self): pass
class U(unittest.TestCase):
    def test_a(self): pass
"""
    lines, _done = report(tmp_path, suite, deselect=deselect)
    assert set(outcomes(lines)) == left
    assert lines[-1] == {"end": True, "collected": len(left), "deselected": 3 - len(left)}


def test_suite_that_runs_the_reporter_itself_does_not_spoil_the_report(tmp_path: Path) -> None:
    suite = """
import os, subprocess, sys, unittest
class T(unittest.TestCase):
    def test_inner(self):
        self.assertNotIn("PYBOTS_REPORT", os.environ)
        done = subprocess.run([sys.executable, "-m", "pybots_unittest", "test_it.T.test_other"], capture_output=True)
        self.assertIn(b"PYBOTS_REPORT has to name", done.stderr)
    def test_other(self): pass
"""
    lines, done = report(tmp_path, suite)
    assert outcomes(lines) == {"test_it.T.test_inner": "passed", "test_it.T.test_other": "passed"}, (
        done.stderr
    )


def test_own_arguments_are_unittests(tmp_path: Path) -> None:
    suite = "import unittest\nclass T(unittest.TestCase):\n def test_a(self): pass\n def test_b(self): pass\n"
    lines, _done = report(tmp_path, suite, options=("-v", "test_it.T.test_b"))
    assert outcomes(lines) == {"test_it.T.test_b": "passed"}


def test_trial_leaves_out_what_is_deselected(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from twisted.trial import unittest\nclass T(unittest.TestCase):\n"
        " def test_a(self): pass\n def test_b(self): 1/0\n"
    )
    (tmp_path / "deselect.json").write_text('["test_it.T.test_b"]')
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(UNDER_TEST),
        "PYBOTS_DESELECT": str(tmp_path / "deselect.json"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pybots_trial", "test_it"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Ran 1 tests" in done.stdout
    assert "pybots: 1 tests deselected" in done.stderr
    assert done.returncode == 0
