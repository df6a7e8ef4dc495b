"""Gathers what a report says while it is read, and keeps it within the limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import repeat

from pybots.results.limits import ReportLimits
from pybots.results.outcome import WORST_FIRST, Failure, Outcome, Report, TestResult
from pybots.results.signature import trim_traceback
from pybots.results.text import safe_name, safe_text, shortened

_BADNESS = {outcome: -rank for rank, outcome in enumerate(WORST_FIRST)}
_LONGEST_SECONDS = 1e7
_CONTROLS = bytes([*range(32), 127])


class LimitReachedError(Exception):
    """The report is larger than anything that is kept; the text says which limit it passed."""


class Gathering:
    """What was read of one report so far; readers call it, and `report` hands it out."""

    def __init__(self, limits: ReportLimits) -> None:
        self.limits = limits
        self.under_way = ""
        self.collected: int | None = None
        self.deselected: int | None = None
        self._results: dict[str, TestResult] = {}
        self._collection_errors: dict[str, None] = {}
        self._problem = ""
        self._text_left = limits.all_text

    @property
    def results(self) -> Mapping[str, TestResult]:
        """One result a name, in the report's order."""
        return self._results

    def problem(self, text: str) -> None:
        """Note what was wrong with the report; the first problem stands."""
        self._problem = self._problem or shortened(safe_text(text), 500)

    def started(self, raw_name: str) -> None:
        """A test has begun."""
        self.under_way = safe_name(raw_name, self.limits.name)

    def ended(
        self, raw_name: str, outcome: Outcome, seconds: float = 0.0, failure: Failure | None = None
    ) -> str:
        """A test has ended; of two results with one name, the worst stands. Return the name that it has here.

        Raises LimitReachedError when there are more tests than are kept.
        """
        name = safe_name(raw_name, self.limits.name)
        if self.under_way == name:
            self.under_way = ""
        known = self._results.get(name)
        if known is None and len(self._results) >= self.limits.tests:
            msg = f"the report names more than {self.limits.tests} tests"
            raise LimitReachedError(msg)
        if known is None or _BADNESS[outcome] > _BADNESS[known.outcome]:
            kept = self._bounded(failure) if failure else None
            self._results[name] = TestResult(name, outcome, _sensible(seconds), kept)
        return name

    def passed(self, names: Sequence[str], seconds: Sequence[float]) -> bool:
        """Take tests that passed, all at once; False, and none taken, where they have to be looked at one by one.

        *names* are taken as they are, so that each has to begin and end with something visible.
        """
        results = self._results
        plain = _printable("".join(names)) and max(map(len, names)) <= self.limits.name
        if not plain or self.under_way or len(results) + len(names) > self.limits.tests:
            return False
        fresh = dict(zip(names, map(TestResult, names, repeat(Outcome.PASSED), seconds), strict=True))
        if len(fresh) < len(names) or not results.keys().isdisjoint(fresh):
            return False
        results.update(fresh)
        return True

    def not_collected(
        self, raw_name: str, failure: Failure | None, outcome: Outcome = Outcome.ERROR, seconds: float = 0.0
    ) -> None:
        """A module (or whatever *raw_name* is) could not be collected."""
        self._collection_errors[self.ended(raw_name, outcome, seconds, failure)] = None

    def report(self) -> Report:
        """Return everything that was read."""
        return Report(
            results=self._results,
            problem=self._problem,
            collection_errors=tuple(self._collection_errors),
            under_way=self.under_way,
            collected=self.collected,
            deselected=self.deselected,
        )

    def _bounded(self, failure: Failure) -> Failure:
        limits = self.limits
        message = shortened(safe_text(failure.message), limits.message)
        traceback = trim_traceback(safe_text(failure.traceback), limits.traceback)
        self._text_left -= len(message) + len(traceback)
        if self._text_left < 0:
            message, traceback = "", ""
        return Failure(safe_name(failure.exception, 200) if failure.exception else "", message, traceback)


def _printable(names: str) -> bool:
    """Say whether `safe_name` would change nothing; of much text in ASCII, three times as quickly as `isprintable`."""
    if not names.isascii():
        return names.isprintable()
    content = names.encode()
    return len(content.translate(None, _CONTROLS)) == len(content)


def _sensible(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_SECONDS) if math.isfinite(seconds) else 0.0
