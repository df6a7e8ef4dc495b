"""Decides what of a report is remembered of each test, and when two reports say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pybots.results.intervals import Seen
from pybots.results.outcome import BAD, Failure, Outcome, Report
from pybots.results.signature import signature


class Observed(NamedTuple):
    """One test of a run: what counts for its history, and the text that goes with it."""

    seen: Seen
    failure: Failure | None
    failure_digest: str
    """Of the text; empty without one."""
    failure_signature: str

    @property
    def bad(self) -> bool:
        """True where the outcome is one that somebody should look at."""
        return self.seen.outcome in BAD


PASSED = Observed(Seen(Outcome.PASSED), None, "", "")
"""What is remembered of every test that passed and said nothing: most of them, so that they share it."""


def observed(report: Report) -> dict[str, Observed]:
    """Return what is remembered, by the tests' names.

    The signature counts for bad outcomes only: another reason for a skip is not another outcome.
    """
    signatures: dict[Failure, tuple[str, str]] = {}
    tests = dict.fromkeys(report.results, PASSED)
    for result in report.results.values():
        if result.outcome is Outcome.PASSED and result.failure is None:
            continue
        digest, signed = _signed(result.failure, signatures)
        seen = Seen(result.outcome, signed if result.outcome in BAD else "")
        tests[result.name] = Observed(seen, result.failure, digest, signed)
    return tests


def outcomes_digest(tests: Mapping[str, Observed]) -> str:
    """Return 64 hexadecimal digits: the same for reports that say the same of the same tests, in whatever order.

    They are a sum over the tests, so that what changes for some of them is found without the others.
    """
    return _digits(sum(_weight(name, test.seen) for name, test in tests.items()))


def digest_after(digest: str, gone: Iterable[tuple[str, Seen]], come: Iterable[tuple[str, Seen]]) -> str:
    """Return the `outcomes_digest` of tests that were those of *digest*, without *gone* and with *come*."""
    less, more = (sum(_weight(name, seen) for name, seen in tests) for tests in (gone, come))
    return _digits(int(digest, 16) - less + more)


def _weight(name: str, seen: Seen) -> int:
    # A member's own value: to format the member itself takes longer than all the rest.
    said = f"{name}\0{seen.outcome._value_}\0{seen.signature}"
    return int.from_bytes(hashlib.sha256(said.encode("utf-8", "replace")).digest(), "big")


def _digits(total: int) -> str:
    return f"{total % (1 << 256):064x}"


def failure_digest(failure: Failure) -> str:
    """Return the digest by which one text is kept once."""
    text = f"{failure.exception}\0{failure.message}\0{failure.traceback}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _signed(failure: Failure | None, known: dict[Failure, tuple[str, str]]) -> tuple[str, str]:
    if failure is None:
        return "", ""
    if failure not in known:
        known[failure] = failure_digest(failure), signature(failure)
    return known[failure]
