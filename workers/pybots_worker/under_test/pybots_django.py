"""Runs Django's own test runner with our report, in parallel too: `TEST_RUNNER = "pybots_django.Runner"`."""

from __future__ import annotations

import unittest

import pybots_report
from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    """DiscoverRunner, writing the report besides, and without the tests that are deselected."""

    def build_suite(self, *args, **kwargs):
        """Build the suite without what is deselected, however it is split for parallel runs."""
        suite = super().build_suite(*args, **kwargs)
        ids = pybots_report.deselected_ids()
        parts = getattr(suite, "subsuites", None)
        if parts is None:
            self._pybots_deselected = pybots_report.remove_deselected(suite, ids)
        else:
            self._pybots_deselected = sum(pybots_report.remove_deselected(part, ids) for part in parts)
            suite.subsuites = [part for part in parts if part.countTestCases()]
        return suite

    def get_resultclass(self):
        """Add the report to whichever result class Django's options ask for."""
        base = super().get_resultclass() or unittest.TextTestResult
        return type("Result", (pybots_report.ReportingMixin, base), self._pybots_attributes)

    def run_suite(self, suite, **kwargs):
        """Run a suite between the report's first and last line."""
        parts = getattr(suite, "subsuites", [suite])
        collected = sum(part.countTestCases() for part in parts)
        report = pybots_report.open_report("django")
        classes = pybots_report.tests_by_class(unittest.TestSuite(parts))
        self._pybots_attributes = {"pybots_report": report, "pybots_classes": classes}
        result = super().run_suite(suite, **kwargs)
        report.end(collected, self._pybots_deselected)
        return result
