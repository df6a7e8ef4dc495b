"""Runs unittest with our report: `python -m pybots_unittest [unittest's arguments]`; discovers by default."""

from __future__ import annotations

import sys
import unittest
from typing import Any

import pybots_asked  # type: ignore[import-not-found]
import pybots_report  # type: ignore[import-not-found]


class Runner(unittest.TextTestRunner):
    """The text runner, writing the report besides, without the tests that are deselected or not asked for."""

    def run(self, test: Any) -> Any:
        """Run a suite between the report's first and last line."""
        ids = pybots_report.deselected_ids()
        suite = unittest.TestSuite([test])
        deselected = pybots_report.remove_deselected(suite, ids)
        pybots_asked.only_asked(suite)
        collected = suite.countTestCases()
        report = pybots_report.open_report("unittest")
        base: Any = self.resultclass
        attributes = {"pybots_report": report, "pybots_classes": pybots_report.tests_by_class(suite)}
        self.resultclass = type("Result", (pybots_report.ReportingMixin, base), attributes)
        result = super().run(suite)
        report.end(collected, deselected)
        return result


def main() -> None:
    """Run unittest's command line."""
    unittest.main(module=None, testRunner=Runner, argv=["python -m unittest", *sys.argv[1:]])


if __name__ == "__main__":
    main()
