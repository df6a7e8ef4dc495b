"""Decides which cases of pytest's JUnit XML are other ones than in the report before it, so that only those are read.

A report is cut before every `<testcase`. What lies between two cuts is compared byte for byte, times aside; what was
there before says what it said then. This holds only where each piece is one case, whole by itself and of pytest's own
shape to the letter, and no two are the same; of any other report nothing is known, and all of it is read.
"""

from __future__ import annotations

import re
from itertools import compress, count, islice
from operator import ne
from typing import NamedTuple

from pybots.results.limits import ReportLimits

_SAID = rb'<(failure|error|skipped)(?: (?:message|type)="[^"<]*")*(?: ?/>|>[^<]*</\1>)'
_WRITTEN = rb"<(system-out|system-err)>[^<]*</\2>"
_PROPERTY = rb'<property name="[^"<]*" value="[^"<]*" ?/>'
_WITHIN = rb"(?:" + _SAID + rb"|" + _WRITTEN + rb"|<properties>(?:" + _PROPERTY + rb")*</properties>)*"
# After `<testcase `; the XML parser says whether it is well-formed besides.
_CASE = re.compile(rb'(?:(?:classname|name|file|line)="[^"<]*" ?)+(?:/>|>' + _WITHIN + rb"</testcase>)\s*")
_HEAD = re.compile(
    rb'(?:<\?xml version="1\.0" encoding="utf-8"\?>)?\s*(?:<testsuites(?: name="[^"<&]*")?>)?\s*'
    rb'<testsuite name="pytest"(?: (?:errors|failures|skipped|tests|time|timestamp|hostname)="[^"<&]*")*>\s*'
)
_TAIL = re.compile(rb"\s*(?:</testsuites>)?\s*")
_CUT = b"<testcase "
_END = b"</testsuite>"
_LONGEST = 500_000
# Of a report of which most cases have much to say, mostly in other words the next time, nothing would be saved.
_USUAL_CASE = 400


class Pieces(NamedTuple):
    """A report, cut: all of it, but for the cuts and the suite's end."""

    head: bytes
    cases: list[bytes]
    tail: bytes

    def with_cases(self, cases: list[bytes]) -> bytes:
        """Return the report that has *cases* only."""
        return b"".join([self.head, *(_CUT + case for case in cases), _END, self.tail])


class Difference(NamedTuple):
    """Reports with those cases only that make the difference between two."""

    changed: bytes
    changed_cases: int
    gone: bytes
    gone_cases: int


def is_in_pieces(lasting: bytes, tests: int) -> bool:
    """Say whether a report, without its times, of which *tests* tests were read, can be compared piece by piece."""
    if not 0 < len(lasting) <= tests * _USUAL_CASE:
        return False
    cut = _cut(lasting)
    # As many tests as pieces: no two of one name, and a piece says nothing of another's test.
    return cut is not None and len(cut.cases) == tests and _alone(cut.cases)


def difference(before: bytes, lasting: bytes, content: bytes) -> Difference | None:
    """Return what of *content* (*lasting*, without its times) is not in *before*, and what of that is gone.

    *before* is a report without its times for which `is_in_pieces` holds; where this is not None, it does for *lasting*
    too, provided that no test's name of what changed is that of one that did not.
    """
    if not len(before) < 2 * len(lasting) < 4 * len(before):
        return None  # most of it is something else
    old, new, whole = _cut(before), _cut(lasting), _cut(content)
    if old is None or new is None or whole is None or len(whole.cases) != len(new.cases):
        return None
    changed, gone = _differing(old.cases, new.cases)
    twice = len(new.cases) - len(changed) != len(old.cases) - len(gone)
    if twice or 2 * len(changed) > len(new.cases) or len(new.cases) > ReportLimits().tests:
        return None
    if not _alone([new.cases[number] for number in changed]):
        return None
    read = whole.with_cases([whole.cases[number] for number in changed])
    return Difference(read, len(changed), old.with_cases(gone), len(gone))


def _differing(old: list[bytes], new: list[bytes]) -> tuple[list[int], list[bytes]]:
    """Return the places in *new* of what is not in *old*, and what of *old* is not in *new*."""
    # Nearly all stands where it stood; where some came or went, as far from the end as it stood.
    apart = list(compress(count(), map(ne, old, new)))
    if len(old) == len(new):
        before, after = [old[place] for place in apart], apart
    else:
        start = apart[0] if apart else min(len(old), len(new))
        longest = min(len(old), len(new)) - start
        backwards = map(ne, islice(reversed(old), longest), islice(reversed(new), longest))
        end = next(compress(count(), backwards), longest)
        before, after = old[start : len(old) - end], list(range(start, len(new) - end))
    known, said = set(before), {new[place] for place in after}
    return [place for place in after if new[place] not in known], [
        case for case in before if case not in said
    ]


def _cut(report: bytes) -> Pieces | None:
    head, *cases = report.split(_CUT)
    last, end, tail = cases[-1].rpartition(_END) if cases else (b"", b"", b"")
    if not end or not _HEAD.fullmatch(head) or not _TAIL.fullmatch(tail):
        return None
    return Pieces(head, [*cases[:-1], last], tail)


def _alone(cases: list[bytes]) -> bool:
    """Say whether each of *cases* is one whole case of pytest's own shape."""
    return max(map(len, cases), default=0) <= _LONGEST and all(map(_CASE.fullmatch, cases))
