from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from subunit import StreamResultToBytes

from pybots.results.outcome import Failure, Outcome, Report
from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

SUITE = """
from twisted.trial import unittest
from twisted.internet import reactor

class TestAll(unittest.TestCase):
    def test_passes(self): print("printed, with a line end")
    def test_prints(self): print("printed without one", end="", flush=True)
    def test_fails(self): self.assertEqual(1, 2)
    def test_raises(self): {}["a"]
    def test_skipped(self): raise unittest.SkipTest("no network")
    def test_todo(self): self.fail("as expected")
    test_todo.todo = "bpo-1"
    def test_unicode(self): raise ValueError("\\u20ac \\udc80".encode("utf-8", "backslashreplace").decode())
    def test_bracket(self): raise ValueError("[\\n]\\n and more")
    def test_dirty(self): reactor.callLater(1000, int)
    def test_zz_last(self): pass
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("suite")
    folder.joinpath("test_all.py").write_text(SUITE)
    folder.joinpath("test_broken.py").write_text("import no_such_module\n")
    command = [sys.executable, "-m", "twisted.trial", "--reporter=subunit", "test_all", "test_broken"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    return parse(done.stdout)


def parse(data: bytes) -> Report:
    return parse_report(ReportFormat.SUBUNIT, io.BytesIO(data))


def test_trials_own_report(trial: Report) -> None:
    assert trial.problem == ""
    assert {name: result.outcome for name, result in trial.results.items()} == {
        "test_all.TestAll.test_passes": Outcome.PASSED,
        "test_all.TestAll.test_prints": Outcome.PASSED,
        "test_all.TestAll.test_fails": Outcome.FAILED,
        "test_all.TestAll.test_raises": Outcome.ERROR,
        "test_all.TestAll.test_skipped": Outcome.SKIPPED,
        "test_all.TestAll.test_todo": Outcome.EXPECTED_FAILURE,
        "test_all.TestAll.test_unicode": Outcome.ERROR,
        "test_all.TestAll.test_bracket": Outcome.ERROR,
        "test_all.TestAll.test_dirty": Outcome.ERROR,
        "test_all.TestAll.test_zz_last": Outcome.PASSED,
        "test_broken": Outcome.ERROR,
    }
    assert trial.collection_errors == ("test_broken",)


def test_what_trial_says_of_failures(trial: Report) -> None:
    said = {name.rpartition(".")[2]: result.failure for name, result in trial.results.items()}
    assert said["test_skipped"] == Failure("", "no network", "")
    raised = said["test_raises"]
    assert raised is not None
    assert (raised.exception, raised.message) == (
        "builtins.KeyError",
        "'a'",
    ) or raised.exception == "KeyError"
    assert "in test_raises" in raised.traceback
    broken = said["test_broken"]
    assert broken is not None
    assert broken.exception.endswith("ModuleNotFoundError")
    assert broken.message == "No module named 'no_such_module'"


V1 = b"""test: a.B.test_1
successful: a.B.test_1
time: 2026-11-22 12:00:00Z
test: a.B.test_2
time: 2026-11-22 12:00:02.5Z
failure: a.B.test_2 [
Traceback (most recent call last):
  File "/x/a.py", line 3, in test_2
    self.fail("no")
AssertionError: no
]
test: a.B.test_3
uxsuccess: a.B.test_3
"""


def test_version_1() -> None:
    report = parse(V1)
    assert report.problem == ""
    assert {name: result.outcome.value for name, result in report.results.items()} == {
        "a.B.test_1": "passed",
        "a.B.test_2": "failed",
        "a.B.test_3": "unexpected-pass",
    }
    failed = report.results["a.B.test_2"]
    assert failed.seconds == 2.5
    assert failed.failure is not None
    assert (failed.failure.exception, failed.failure.message) == ("AssertionError", "no")


def test_the_test_under_way_is_known_when_a_stream_is_cut() -> None:
    report = parse(V1[: V1.index(b"self.fail")])
    assert list(report.results) == ["a.B.test_1"]
    assert report.under_way == "a.B.test_2"
    assert report.problem == "the report was cut off while a.B.test_2 was under way"


def test_an_outcome_that_shares_its_line_with_what_was_printed() -> None:
    report = parse(V1.replace(b"successful: a.B.test_1", b"loading...successful: a.B.test_1"))
    assert (report.problem, len(report.results)) == ("", 3)
    assert report.results["a.B.test_1"].outcome is Outcome.PASSED


def test_an_outcome_that_is_lost_costs_one_test() -> None:
    report = parse(V1.replace(b"successful: a.B.test_1\n", b""))
    assert list(report.results) == ["a.B.test_2", "a.B.test_3"]
    assert "the outcome of a.B.test_1 cannot be read" in report.problem


def test_long_details_keep_head_and_tail() -> None:
    """python-subunit's own way would take minutes here."""
    lines = b"".join(b"line %d\n" % number for number in range(400_000))
    report = parse(V1.replace(b"Traceback", lines + b"Traceback"))
    failure = report.results["a.B.test_2"].failure
    assert failure is not None
    assert len(failure.traceback) <= 20_000
    assert failure.traceback.startswith("line 0\n")
    assert failure.traceback.endswith("AssertionError: no")


def test_bytes_that_are_not_utf8() -> None:
    report = parse(V1.replace(b"test_1", b"test_\xff"))
    assert list(report.results) == ["a.B.test_\ufffd", "a.B.test_2", "a.B.test_3"]


def test_lines_of_the_protocol_that_make_no_sense() -> None:
    report = parse(b"progress: many\ntime: never\ntags: \n" + V1)
    assert len(report.results) == 3
    assert "is not subunit" in report.problem


def test_multipart_details() -> None:
    details = b"Content-Type: text/plain\nreason\n9\r\nno networ0\r\n]\n"
    report = parse(b"test: a.B.c\nskip: a.B.c [ multipart\n" + details + V1)
    assert report.results["a.B.c"].failure == Failure("", "no networ", "")
    assert len(report.results) == 4


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\xff\xfe\x00"])
def test_what_is_no_report_says_so(data: bytes) -> None:
    assert parse(data) == Report(problem="the report holds no subunit")


def version_2(*, until: int = 100) -> bytes:
    stream = io.BytesIO()
    out = StreamResultToBytes(stream)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    text = b'Traceback (most recent call last):\n  File "/x/a.py", line 3, in t\n    f()\nValueError: bad\n'
    events: list[dict[str, object]] = [{"test_id": "a.B.listed", "test_status": "exists"}]
    for status in ("success", "uxsuccess", "skip", "fail", "xfail"):
        name = f"a.B.{status}"
        events += [
            {"test_id": name, "test_status": "inprogress", "timestamp": now},
            {"test_id": name, "file_name": "traceback", "file_bytes": text, "mime_type": "text/x-traceback"},
            {"test_id": name, "test_status": status, "timestamp": now + timedelta(seconds=3)},
        ]
    events.append({"test_id": "unittest.loader._FailedTest.a", "test_status": "fail"})
    for event in events[:until]:
        out.status(**event)
    return stream.getvalue()


def test_version_2() -> None:
    report = parse(version_2())
    assert report.problem == ""
    assert {name: result.outcome.value for name, result in report.results.items()} == {
        "a.B.success": "passed",
        "a.B.uxsuccess": "unexpected-pass",
        "a.B.skip": "skipped",
        "a.B.fail": "failed",
        "a.B.xfail": "expected-failure",
        "unittest.loader._FailedTest.a": "error",
    }
    failed = report.results["a.B.fail"]
    assert (failed.seconds, failed.failure and failed.failure.exception) == (3.0, "ValueError")
    assert report.collection_errors == ("unittest.loader._FailedTest.a",)


def test_version_2_cut_between_packets() -> None:
    report = parse(version_2(until=6))
    assert list(report.results) == ["a.B.success"]
    assert report.under_way == "a.B.uxsuccess"
    assert "cut off while a.B.uxsuccess was under way" in report.problem


def test_version_2_cut_within_a_packet() -> None:
    report = parse(version_2()[:-3])
    assert len(report.results) == 5
    assert "cannot be read" in report.problem


def test_version_2_after_what_was_printed() -> None:
    report = parse(b"warming up\n" + version_2())
    assert len(report.results) == 6


def test_version_2_broken_in_the_middle() -> None:
    data = version_2()
    middle = data.index(b"a.B.skip")
    report = parse(data[:middle] + b"X" + data[middle + 1 :])
    assert "a.B.success" in report.results
    assert "a.B.xfail" in report.results
    assert "Bad checksum" in report.problem


def test_much_that_is_not_subunit_is_given_up(tmp_path: Path) -> None:
    report = parse(version_2() + b"\x00" * 2_000_000)
    assert len(report.results) == 6
    assert "are not subunit" in report.problem
