from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pybots.results.limits import ReportLimits
from pybots.results.outcome import Failure, Outcome, Report
from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

FIRST: dict[str, Any] = {"pybots": 1, "kind": "unittest"}
LAST: dict[str, Any] = {"end": True, "collected": 2, "deselected": 1}
PASS: dict[str, Any] = {"test": "a.B.c", "outcome": "passed", "seconds": 0.25}


def written(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def parse(data: bytes, limits: ReportLimits | None = None) -> Report:
    return parse_report(ReportFormat.UNITTEST, io.BytesIO(data), limits)


def test_a_whole_report() -> None:
    said = {"exception": "ValueError", "message": "bad", "traceback": "Traceback ..."}
    failed = {"test": "a.B.d", "outcome": "failed", "seconds": 1, **said}
    broken = {"test": "unittest.loader._FailedTest.e", "outcome": "error", "collection_error": True}
    report = parse(written(FIRST, {"started": "a.B.c"}, PASS, failed, broken, LAST))
    assert report.problem == ""
    assert (report.collected, report.deselected, report.under_way) == (2, 1, "")
    assert report.results["a.B.c"].seconds == 0.25
    assert report.results["a.B.d"].failure == Failure("ValueError", "bad", "Traceback ...")
    assert report.collection_errors == ("unittest.loader._FailedTest.e",)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.ABSENT])
def test_every_outcome(outcome: Outcome) -> None:
    report = parse(written(FIRST, {"test": "t", "outcome": outcome.value}, LAST))
    assert [result.outcome for result in report.results.values()] == [outcome]


def test_without_its_last_line_it_was_cut() -> None:
    report = parse(written(FIRST, PASS, {"started": "a.B.hangs"}))
    assert (list(report.results), report.under_way) == (["a.B.c"], "a.B.hangs")
    assert report.problem == "the report has no last line: it was cut off"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "line 1: no report of ours"),
        (written(PASS, LAST), "line 1: no report of ours"),
        (written({"pybots": 2}, LAST), "line 1: no report of ours"),
        (written(FIRST) + b"{half\n" + written(PASS, LAST), "line 2: not JSON"),
        (written(FIRST, [1], PASS, LAST), "line 2: not a JSON object"),
        (
            written(FIRST, {"test": "x", "outcome": "absent"}, PASS, LAST),
            "line 2: neither a test nor the end",
        ),
        (written(FIRST) + b"[" * 100_000 + b"\n" + written(PASS, LAST), "line 2: not JSON"),
        (written(FIRST) + b"9" * 10_000 + b"\n" + written(PASS, LAST), "line 2: not JSON"),
    ],
)
def test_lines_that_make_no_sense(data: bytes, problem: str) -> None:
    report = parse(data)
    assert problem in report.problem
    assert list(report.results) == (["a.B.c"] if "line 2" in problem else [])


def test_strange_values_are_made_sensible() -> None:
    strange = [
        {**PASS, "test": name, "seconds": seconds}
        for name, seconds in (
            ("a", float("nan")),
            ("b", float("inf")),
            ("c", -1),
            ("d", "x"),
            ("e", 10**400),
            ("f", True),
        )
    ]
    report = parse(written(FIRST, *strange, {**LAST, "collected": -1, "deselected": "x"}))
    assert [result.seconds for result in report.results.values()] == [0.0, 1e7, 0.0, 0.0, 1e7, 0.0]
    assert (report.problem, report.collected, report.deselected) == ("", None, None)


def test_names_are_visible_and_stay_distinct() -> None:
    names = ["a\x00b", "a\x01b", "a\ud800b", "a\u202eb", "", " ", "a\nb"]
    report = parse(written(FIRST, *({**PASS, "test": name} for name in names), LAST))
    assert list(report.results) == [
        "a\\u0000b",
        "a\\u0001b",
        "a\\ud800b",
        "a\\u202eb",
        "(without a name)",
        "a\\u000ab",
    ]


def test_a_line_that_is_too_long_costs_one_test() -> None:
    long = {**PASS, "test": "long", "message": "m" * 2_000}
    report = parse(written(FIRST, long, PASS, LAST), ReportLimits(line_bytes=1_000))
    assert list(report.results) == ["a.B.c"]
    assert "line 2: not JSON" in report.problem
