"""Reads the lines of JSON that Pybots' own reporters (unittest, Django) write.

The first line is `{"pybots": 1, "kind": ...}`; then `{"started": id}` and `{"test": id, "outcome": ...}` with
`seconds`, `exception`, `message`, `traceback` and `collection_error` where they say something; the last is
`{"end": true, "collected": n, "deselected": n}`. A report without its last line was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.lines import bounded_lines
from pybots.results.outcome import Failure, Outcome

_VERSION = 1
_HIGHEST_COUNT = 10_000_000
_SENSELESS_LINES = 1_000
_OUTCOMES = {outcome.value: outcome for outcome in Outcome if outcome is not Outcome.ABSENT}


def read_json_lines(stream: BinaryIO, gathered: Gathering) -> None:
    """Read *stream* into *gathered*; a line that makes no sense is passed over, and is its problem."""
    objects = _objects(stream, gathered)
    _number, first = next(objects, (1, {}))
    if first.get("pybots") != _VERSION:
        gathered.problem(
            f'line 1: no report of ours begins like this; {{"pybots": {_VERSION}, ...}} is expected'
        )
        return
    for number, line in objects:
        if line.get("end") is True:
            gathered.collected = _count(line.get("collected"))
            gathered.deselected = _count(line.get("deselected"))
            return
        if not _read(line, gathered):
            gathered.problem(f"line {number}: neither a test nor the end: {json.dumps(line)[:200]}")
    gathered.problem("the report has no last line: it was cut off")


def _objects(stream: BinaryIO, gathered: Gathering) -> Iterator[tuple[int, dict[str, Any]]]:
    senseless = 0
    for number, line in enumerate(bounded_lines(stream, gathered.limits.line_bytes), start=1):
        try:
            value = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            gathered.problem(f"line {number}: not JSON: {error}")
            value = None
        if isinstance(value, dict):
            yield number, value
            continue
        gathered.problem(f"line {number}: not a JSON object")
        senseless += 1
        if senseless > _SENSELESS_LINES:
            msg = f"more than {_SENSELESS_LINES} lines are no JSON objects"
            raise LimitReachedError(msg)


def _read(line: dict[str, Any], gathered: Gathering) -> bool:
    """Take in one line; False when it says nothing that is known."""
    if isinstance(line.get("started"), str):
        gathered.started(line["started"])
        return True
    name, outcome = line.get("test"), _OUTCOMES.get(str(line.get("outcome")))
    if not isinstance(name, str) or outcome is None:
        return False
    failure, seconds = _failure(line), _seconds(line.get("seconds"))
    if line.get("collection_error") is True:
        gathered.not_collected(name, failure, outcome, seconds)
    else:
        gathered.ended(name, outcome, seconds, failure)
    return True


def _failure(line: dict[str, Any]) -> Failure | None:
    exception, message, traceback = (_text(line.get(key)) for key in ("exception", "message", "traceback"))
    return Failure(exception, message, traceback) if exception or message or traceback else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(min(max(value, 0), 1e9)) if value == value else 0.0  # noqa: PLR0124  (not a number)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return None
    return min(value, _HIGHEST_COUNT)
