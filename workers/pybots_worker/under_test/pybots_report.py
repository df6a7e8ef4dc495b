"""Writes a unittest run as JSON lines: what both of our runners report with.

Standard library only, and works on every Python from 3.9. The file is the one named by PYBOTS_REPORT:

    {"pybots": 1, "kind": "unittest"}
    {"started": "package.module.Class.test"}
    {"test": "package.module.Class.test", "outcome": "failed", "seconds": 0.1,
     "exception": "AssertionError", "message": "1 != 2", "traceback": "..."}
    {"end": true, "collected": 2, "deselected": 0}

`outcome` is passed, failed, error, skipped, expected-failure or unexpected-pass. A skip's reason is its
`message`. A module that cannot be imported is an error named after it, with `"collection_error": true`. What
fails for a whole class or module is named as unittest does: `setUpClass (package.module.Class)`. Each line is
written at once, so that a crash leaves what ran, and the test that was started last. Without a last line the
run did not come to its end. `kind` is unittest or django.
"""

from __future__ import annotations

import json
import os
import time
import unittest
from typing import TYPE_CHECKING, Any, Iterator
from unittest.suite import _ErrorHolder  # type: ignore[attr-defined]

if TYPE_CHECKING:
    _Result = unittest.TestResult
else:
    _Result = object  # a mixin: the result class that it is put before comes from the runner

REPORT_VARIABLE = "PYBOTS_REPORT"
DESELECT_VARIABLE = "PYBOTS_DESELECT"
MESSAGE_CHARACTERS = 4000
TRACEBACK_CHARACTERS = 20000


class Report:
    """The file; a process forked from this one does not write into it."""

    def __init__(self, path: str, kind: str) -> None:
        self._file = open(path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        self._process = os.getpid()
        self.write({"pybots": 1, "kind": kind})

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, and let it be seen at once."""
        if os.getpid() == self._process:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def end(self, collected: int, deselected: int) -> None:
        """Write the last line."""
        self.write({"end": True, "collected": collected, "deselected": deselected})
        if os.getpid() == self._process:
            self._file.close()


def open_report(kind: str) -> Report:
    """Open the file named by PYBOTS_REPORT.

    The variable is taken out of the environment: a suite that starts test runs of its own must not have them
    write into the same file.
    """
    path = os.environ.pop(REPORT_VARIABLE, "")
    if not path:
        raise SystemExit("pybots: PYBOTS_REPORT has to name the file to write the report to")
    return Report(path, kind)


def deselected_ids() -> list[str]:
    """Read the ids that are not to be run: a JSON list in the file named by PYBOTS_DESELECT."""
    path = os.environ.get(DESELECT_VARIABLE, "")
    if not path:
        return []
    with open(path, encoding="utf-8") as file:
        ids: list[str] = json.load(file)
        return ids


def test_name(test: Any) -> str:
    """Name a test as reports do: its id, or the module's name for a module that could not be imported."""
    return str(test._testMethodName if is_collection_error(test) else test.id())


def is_collection_error(test: Any) -> bool:
    """Whether a test only stands for a module that could not be imported."""
    return type(test).__name__ in ("_FailedTest", "ModuleImportFailure", "LoadTestsFailure")


def is_deselected(test: Any, ids: list[str]) -> bool:
    """Whether a test, its class or its module is listed."""
    name = test_name(test)
    return any(name == listed or name.startswith(listed + ".") for listed in ids)


def remove_deselected(suite: Any, ids: list[str]) -> int:
    """Remove listed tests from a suite and the suites in it; returns how many."""
    kept, removed = [], 0
    for test in suite._tests:
        if isinstance(test, unittest.BaseTestSuite):
            removed += remove_deselected(test, ids)
            kept.append(test)
        elif is_deselected(test, ids):
            removed += 1
        else:
            kept.append(test)
    suite._tests = kept
    return removed


def tests_by_class(suite: Any) -> dict[tuple[str, str], list[str]]:
    """Map each class (its module, and `package.module.Class`) to the names of its tests in a suite."""
    found: dict[tuple[str, str], list[str]] = {}
    for test in suite:
        if isinstance(test, unittest.BaseTestSuite):
            for name, tests in tests_by_class(test).items():
                found.setdefault(name, []).extend(tests)
        else:
            found.setdefault((type(test).__module__, _class_name(test)), []).append(test_name(test))
    return found


class ReportingMixin(_Result):
    """What makes a unittest result class write the report.

    `pybots_report` (a Report) and `pybots_classes` (what `tests_by_class` returns) are set on the subclass.
    """

    pybots_report: Any
    pybots_classes: Any
    _pybots_running = False
    _pybots_skip: Any = None

    def startTest(self, test: Any) -> None:  # noqa: N802
        """Say which test runs now."""
        super().startTest(test)
        self._pybots_skip_class()
        self._pybots_running = True
        self._pybots_seen: list[dict[str, str]] = []
        self._pybots_subtests_passed = 0
        self._pybots_duration: float | None = None
        self._pybots_started = time.perf_counter()
        self.pybots_report.write({"started": test_name(test)})

    def stopTest(self, test: Any) -> None:  # noqa: N802
        """Write what the test did: the first thing that was not well, else that it passed or was skipped."""
        super().stopTest(test)
        if not self._pybots_running:  # Python 3.12.1 stops skipped tests that it never started
            if self._pybots_skip is not None:
                (_test, reason), self._pybots_skip = self._pybots_skip, None
                self._pybots_write(test, {"outcome": "skipped", "message": reason}, 0.0)
            return
        self._pybots_running = False
        seconds = self._pybots_duration
        if seconds is None:
            seconds = time.perf_counter() - self._pybots_started
        self._pybots_write(test, self._pybots_first(), seconds)

    def addSuccess(self, test: Any) -> None:  # noqa: N802
        """Note that it passed."""
        super().addSuccess(test)
        self._pybots_note("passed")

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        """Note a failed assertion."""
        super().addFailure(test, err)
        self._pybots_note("failed", **self._pybots_texts(test, err))

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        """Note an error, or write at once what concerns a whole class or module."""
        super().addError(test, err)
        texts = self._pybots_texts(test, err)
        if self._pybots_running:
            self._pybots_note("error", **texts)
        else:
            # Django's parallel runner names the class's last test where tearDownClass fails.
            name = test.id() if isinstance(test, _ErrorHolder) else "tearDownClass (%s)" % _class_name(test)
            self.pybots_report.write(dict(test=name, outcome="error", seconds=0.0, **texts))

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        """Note a skip; where a whole class is skipped by its set-up, each of its tests is."""
        super().addSkip(test, reason)
        reason = _bounded(str(reason), MESSAGE_CHARACTERS)
        if self._pybots_running:
            self._pybots_note("skipped", message=reason)
            return
        self._pybots_skip_class()
        self._pybots_skip = (test, reason)

    def stopTestRun(self) -> None:  # noqa: N802
        """Write what is still to be written."""
        super().stopTestRun()
        self._pybots_skip_class()

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        """Note a failure that was expected."""
        super().addExpectedFailure(test, err)
        self._pybots_note("expected-failure", **self._pybots_texts(test, err))

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        """Note that a failure was expected and did not come."""
        super().addUnexpectedSuccess(test)
        self._pybots_note("unexpected-pass", message="a failure was expected")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        """Note what one part of a test did; the test fails when a part does."""
        super().addSubTest(test, subtest, err)
        if err is None:
            self._pybots_subtests_passed += 1
            return
        outcome = "failed" if issubclass(err[0], test.failureException) else "error"
        texts = self._pybots_texts(test, err)
        texts["message"] = _bounded(subtest._subDescription() + " " + texts["message"], MESSAGE_CHARACTERS)
        self._pybots_note(outcome, **texts)

    def addDuration(self, test: Any, elapsed: float) -> None:  # noqa: N802
        """Take unittest's own measure (Python 3.12 and later)."""
        parent = getattr(super(), "addDuration", None)
        if parent:
            parent(test, elapsed)
        self._pybots_duration = elapsed

    def _pybots_skip_class(self) -> None:
        """Write a skip that was told outside of any test: set-up skipped each test of a class, or of a module."""
        if self._pybots_skip is None:
            return
        (test, reason), self._pybots_skip = self._pybots_skip, None
        # Django's parallel runner names the class's last test instead of the class.
        name = (
            test.id().partition("(")[2].rstrip(")") if isinstance(test, _ErrorHolder) else _class_name(test)
        )
        for member in self._pybots_members(name):
            line = {"test": member, "outcome": "skipped", "seconds": 0.0, "message": reason}
            self.pybots_report.write(line)

    def _pybots_members(self, name: str) -> Iterator[str]:
        """List the tests of a class, or of all classes of a module; those of modules in a package are not its own."""
        for names, tests in self.pybots_classes.items():
            if name in names:
                for test in tests:
                    yield test

    def _pybots_note(self, outcome: str, **texts: str) -> None:
        self._pybots_seen.append(dict(outcome=outcome, **texts))

    def _pybots_first(self) -> dict[str, str]:
        for seen in self._pybots_seen:
            if seen["outcome"] in ("failed", "error", "unexpected-pass"):
                return seen
        if self._pybots_subtests_passed or not self._pybots_seen:
            return {"outcome": "passed"}  # parts may have been skipped, but others ran
        return self._pybots_seen[0]

    def _pybots_write(self, test: Any, seen: dict[str, str], seconds: float) -> None:
        line = dict(test=test_name(test), seconds=round(seconds, 6), **seen)
        if is_collection_error(test):
            line["collection_error"] = True
            line["outcome"] = "error"
        self.pybots_report.write(line)

    def _pybots_texts(self, test: Any, err: Any) -> dict[str, str]:
        try:
            traceback = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001  (a broken __str__ must not end the run)
            traceback = "no traceback: %r" % (type(error),)
        try:
            message = str(err[1])
        except Exception as error:  # noqa: BLE001
            message = "no message: %r" % (type(error),)
        return {
            "exception": _bounded(_exception_name(err[0]), 200),
            "message": _bounded(message, MESSAGE_CHARACTERS),
            "traceback": _bounded(traceback, TRACEBACK_CHARACTERS),
        }


def _class_name(test: Any) -> str:
    return type(test).__module__ + "." + type(test).__qualname__


def _exception_name(cls: type) -> str:
    module = getattr(cls, "__module__", "")
    name = getattr(cls, "__qualname__", str(cls))
    return name if module in ("builtins", "") else "%s.%s" % (module, name)


def _bounded(text: str, characters: int) -> str:
    """Keep the head and the tail: the first line says where, the last line says what."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return text[:half] + "\n[... %d characters left out ...]\n" % (len(text) - 2 * half) + text[-half:]
