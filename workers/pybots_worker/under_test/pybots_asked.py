"""Reads which tests alone are to be run, and leaves the others out of a unittest suite.

PYBOTS_TESTS names a file with a JSON list of them, by the names that the results give them; without the variable the
whole suite is run. What stands for a module that could not be imported always stays: that is how collecting went. Once
the others are left out, the file that PYBOTS_SELECTED names is made. Standard library only, every Python from 3.9.
"""

from __future__ import annotations

import json
import os
import re
import unittest
from typing import Any

from pybots_names import safe_name  # type: ignore[import-not-found]

TESTS_VARIABLE = "PYBOTS_TESTS"
SELECTED_VARIABLE = "PYBOTS_SELECTED"
_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) \((.+)\)")
_NOT_COLLECTED = ("_FailedTest", "ModuleImportFailure", "LoadTestsFailure", "ErrorHolder")
"""unittest's own, and trial's."""


class Asked:
    """The tests to be run; none is a possible answer."""

    def __init__(self, names: list[str], selected: str) -> None:
        self.names = frozenset(names)
        found = [_FIXTURE.match(name) for name in names]
        self._with_fixture = frozenset(match.group(1) for match in found if match)
        """Classes and modules whose set-up failed: each of their tests would have it done again."""
        self._selected = selected

    def __contains__(self, raw_name: str) -> bool:
        return safe_name(raw_name) in self.names

    def folders(self) -> set[str]:
        """The dotted names that the asked tests' own begin with, whole ones: `a`, `a.b`, `a.b.C`."""
        found: set[str] = set()
        for name in {*self.names, *self._with_fixture}:
            parts = name.split(".")
            found.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
        return found

    def keep(self, test: Any) -> bool:
        """Whether a test of a unittest suite stays."""
        if type(test).__name__ in _NOT_COLLECTED:
            return True
        cls = type(test)
        places = (cls.__module__, "%s.%s" % (cls.__module__, cls.__qualname__))
        return str(test.id()) in self or not self._with_fixture.isdisjoint(places)

    def remove_others(self, suite: Any) -> None:
        """Remove from a suite, and the suites in it, what is not asked for."""
        kept = []
        for test in suite._tests:
            if isinstance(test, unittest.BaseTestSuite):
                self.remove_others(test)
                kept.append(test)
            elif self.keep(test):
                kept.append(test)
        suite._tests = kept

    def told(self) -> None:
        """Say that the others were left out."""
        if self._selected:
            with open(self._selected, "a", encoding="utf-8"):
                pass


def read_asked(environment: Any = os.environ) -> Asked | None:
    """Return which tests to run; None: the whole suite."""
    path = environment.get(TESTS_VARIABLE, "")
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return Asked(json.load(file), environment.get(SELECTED_VARIABLE, ""))


def only_asked(suite: Any) -> None:
    """Leave what is not asked for out of a unittest suite."""
    asked = read_asked()
    if asked is not None:
        asked.remove_others(suite)
        asked.told()
