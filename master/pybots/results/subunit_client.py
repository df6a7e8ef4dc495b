"""Takes what python-subunit's parser of version 1 calls, as a unittest result with details."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from pybots.results.ended_by import ended_by
from pybots.results.gather import Gathering
from pybots.results.outcome import Failure, Outcome

_DETAILS_LENGTH = 2_000_000


class _Test(Protocol):
    def id(self) -> str: ...


class SubunitClient:
    """Gathers each test as it ends. Its methods' names are unittest's."""

    # ruff: noqa: N802

    def __init__(self, gathered: Gathering) -> None:
        self._gathered = gathered
        self._now: datetime | None = None
        self._started: datetime | None = None

    def startTest(self, test: _Test) -> None:
        """A test has begun."""
        self._started = self._now
        self._gathered.started(test.id())

    def stopTest(self, test: _Test) -> None:
        """A test has ended; its outcome came before."""

    def addSuccess(self, test: _Test, details: Any = None) -> None:
        """It passed."""
        self._ended(test, Outcome.PASSED, None)

    def addError(self, test: _Test, err: Any = None, details: Any = None) -> None:
        """It raised."""
        name, failure = test.id(), failure_from(_text(details))
        if could_not_be_collected(name):
            self._gathered.not_collected(name, failure)
        else:
            self._ended(test, Outcome.ERROR, failure)

    def addFailure(self, test: _Test, err: Any = None, details: Any = None) -> None:
        """An assertion failed."""
        self._ended(test, Outcome.FAILED, failure_from(_text(details)))

    def addSkip(self, test: _Test, reason: str = "", details: Any = None) -> None:
        """It was skipped."""
        self._ended(test, Outcome.SKIPPED, Failure("", (reason or _text(details)).strip(), ""))

    def addExpectedFailure(self, test: _Test, err: Any = None, details: Any = None) -> None:
        """It failed, as expected."""
        self._ended(test, Outcome.EXPECTED_FAILURE, failure_from(_text(details)))

    def addUnexpectedSuccess(self, test: _Test, details: Any = None) -> None:
        """It passed, and should not have."""
        self._ended(test, Outcome.UNEXPECTED_PASS, Failure("", "passed, though a failure was expected", ""))

    def time(self, now: datetime) -> None:
        """What follows happens at *now*."""
        self._now = now

    def tags(self, new_tags: set[str], gone_tags: set[str]) -> None:
        """Tags are not kept."""

    def progress(self, offset: int | None, whence: int) -> None:
        """Progress is not kept."""

    def _ended(self, test: _Test, outcome: Outcome, failure: Failure | None) -> None:
        seconds = (self._now - self._started).total_seconds() if self._now and self._started else 0.0
        self._gathered.ended(test.id(), outcome, seconds, failure)


def failure_from(text: str) -> Failure:
    """Return what a test said, from its traceback."""
    text = text.strip("\n")
    exception, message = ended_by(text)
    return Failure(exception, message, text)


def could_not_be_collected(name: str) -> bool:
    """True where *name* is a module's: trial reports what it could not import like a test that raised.

    Names of tests hold a class, and classes begin with a capital letter.
    """
    if name.startswith("unittest.loader._FailedTest."):
        return True
    parts = name.split(".")
    return all(part.isidentifier() and not part.lstrip("_")[:1].isupper() for part in parts)


def _text(details: Any) -> str:
    contents = [content for content in (details or {}).values() if content.content_type.type == "text"]
    parts = [
        b"".join(content.iter_bytes())[:_DETAILS_LENGTH].decode("utf-8", "replace") for content in contents
    ]
    return "\n".join(part for part in parts if part)
