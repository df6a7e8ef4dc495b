"""Runs Django's own test runner with our report, in parallel too: `TEST_RUNNER = "pybots_django.Runner"`."""

from __future__ import annotations

import faulthandler
import os
import unittest
from multiprocessing.pool import Pool
from typing import Any

import pybots_asked  # type: ignore[import-not-found]
import pybots_report  # type: ignore[import-not-found]
from django.test.runner import DiscoverRunner

STANDARD_ERROR = 2


def crash_with_workers() -> None:
    """Let the end of one process of a parallel run end the run: by the same signal, or with the same status.

    A pool starts another process instead, and Django waits without end for the tests that the first one had.
    """
    pool: Any = Pool
    join, owner = pool._join_exited_workers, os.getpid()

    def join_or_crash(workers: Any) -> Any:
        before = list(workers)
        joined = join(workers)  # looked at afterwards: it takes out even one that ends at this moment
        codes = [worker.exitcode for worker in before if worker.exitcode]
        if codes and os.getpid() == owner:
            end_as(codes[0])
        return joined

    pool._join_exited_workers = staticmethod(join_or_crash)


def end_as(code: int) -> None:
    """End this process as the one of the pool ended that has this exit code."""
    if code < 0:
        os.write(STANDARD_ERROR, b"pybots: a test process was ended by signal %d\n" % -code)
        faulthandler.disable()  # what it would say of this process is not what happened
        os.kill(os.getpid(), -code)
    else:
        os.write(STANDARD_ERROR, b"pybots: a test process ended itself with status %d\n" % code)
        os._exit(code)  # this is the pool's thread: an exception would end nothing but it


class Runner(DiscoverRunner):  # type: ignore[misc]
    """DiscoverRunner, writing the report besides, without the tests that are deselected or not asked for."""

    def build_suite(self, *args: Any, **kwargs: Any) -> Any:
        """Build the suite without what is deselected, however it is split for parallel runs."""
        suite = super().build_suite(*args, **kwargs)
        ids = pybots_report.deselected_ids()
        parts = getattr(suite, "subsuites", None)
        if parts is None:
            self._pybots_deselected = pybots_report.remove_deselected(suite, ids)
        else:
            self._pybots_deselected = sum(pybots_report.remove_deselected(part, ids) for part in parts)
            suite.subsuites = [part for part in parts if part.countTestCases()]
        return self._pybots_only_asked(suite)

    def _pybots_only_asked(self, suite: Any) -> Any:
        """Leave out what is not asked for; what is left of one class needs no processes, nor their databases."""
        asked = pybots_asked.read_asked()
        if asked is None:
            return suite
        parts = getattr(suite, "subsuites", None)
        for part in [suite] if parts is None else parts:
            asked.remove_others(part)
        asked.told()
        if parts is None:
            return suite
        suite.subsuites = [part for part in parts if part.countTestCases()]
        if len(suite.subsuites) > 1:
            return suite
        self.parallel = 1
        return self.test_suite(suite.subsuites)

    def get_resultclass(self) -> Any:
        """Add the report to whichever result class Django's options ask for."""
        base = super().get_resultclass() or unittest.TextTestResult
        return type("Result", (pybots_report.ReportingMixin, base), self._pybots_attributes)

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        """Run a suite between the report's first and last line."""
        parts = getattr(suite, "subsuites", [suite])
        collected = sum(part.countTestCases() for part in parts)
        report = pybots_report.open_report("django")
        classes = pybots_report.tests_by_class(unittest.TestSuite(parts))
        self._pybots_attributes = {"pybots_report": report, "pybots_classes": classes}
        faulthandler.enable(STANDARD_ERROR)
        crash_with_workers()
        result = super().run_suite(suite, **kwargs)
        report.end(collected, self._pybots_deselected)
        return result
