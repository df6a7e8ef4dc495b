"""Reports of one to two gigabytes, ten million tests, one endless line: read in bounded memory and time.

Each is read by a process of its own, which may take 500 MB and 150 s of CPU time; -s prints what it took.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

# Gives a head, then a body again and again (with its number where it asks for one), then a tail; holds none of it.
PROGRAM = """
import io, json, resource, sys, time

from pybots.results.parse import parse_report
from pybots_worker.contract import ReportFormat

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (150, 150))


class Endless(io.RawIOBase):
    def __init__(self, head, body, times, tail):
        self.parts = self.give(head.encode(), body.encode(), times, tail.encode())
        self.left = memoryview(b"")

    def give(self, head, body, times, tail):
        yield head
        for first in range(0, times, 1000):
            numbers = range(first, min(first + 1000, times))
            yield b"".join(body % n for n in numbers) if b"%d" in body else body * len(numbers)
        yield tail

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.left:
            part = next(self.parts, None)
            if part is None:
                return 0
            self.left = memoryview(part)
        size = min(len(buffer), len(self.left))
        buffer[:size], self.left = self.left[:size], self.left[size:]
        return size


kind, head, body, times, tail = json.loads(sys.argv[1])
report = parse_report(ReportFormat(kind), io.BufferedReader(Endless(head, body, times, tail)))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"tests": len(report.results), "problem": report.problem, "megabytes": used.ru_maxrss // 1024,
                  "seconds": round(time.process_time(), 1)}))
"""
SUITE = '<testsuites><testsuite name="pytest">'
CASE = '<testcase classname="a.B" name="t%d" time="0.1"/>'
LONG_FAILURE = (
    '<testcase classname="a" name="t%d"><failure message="m">' + "a line\n" * 2000 + "</failure></testcase>"
)
ONE = '<testcase classname="a" name="b">'
CASES = {
    "a gigabyte of tests": (("junit", SUITE, CASE, 20_000_000, ""), "more than 500000 tests"),
    "a line of 500 MB": (
        ("junit", f"{SUITE}{ONE}<failure>", "y" * 1000, 500_000, ""),
        "longer than 200000000 bytes",
    ),
    "an attribute of 500 MB": (
        ("junit", f'{SUITE}<testcase name="', "y" * 1000, 500_000, ""),
        "a tag of the report",
    ),
    "two gigabytes of failures": (("junit", SUITE, LONG_FAILURE, 150_000, ""), "longer than 200000000 bytes"),
    "ten million failures of one test": (
        ("junit", SUITE + ONE, '<failure message="m">x</failure>', 10_000_000, ""),
        "longer than 200000000 bytes",
    ),
    "nested for ever": (("junit", "<testsuites>", "<a>", 60_000_000, ""), "nested more than 100 deep"),
    "a new element every time": (("junit", "<testsuites>", "<q%d/>", 15_000_000, ""), "kinds of elements"),
    "ten million lines": (
        ("unittest", '{"pybots":1}\n', '{"test":"a.b.C.t%d","outcome":"passed"}\n', 10_000_000, ""),
        "more than 500000 tests",
    ),
    "empty lines": (("unittest", '{"pybots":1}\n', "\n", 199_000_000, ""), "line 2: not JSON"),
    "brackets": (("unittest", '{"pybots":1}\n', "[", 199_000_000, ""), "line 2: not JSON"),
    "ten million tests that never end": (
        ("subunit", "", "test: m.C.t%d\nsuccess: m.C.t\n", 10_000_000, ""),
        "",
    ),
    "details without end": (
        ("subunit", "test: a.B.c\nfailure: a.B.c [\n", "yyy\n", 49_000_000, ""),
        "more than 5000000 lines",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_within_bounds_and_said_to_be_beyond_them(case: str) -> None:
    report, says = CASES[case]
    command = [sys.executable, "-c", PROGRAM, json.dumps(report)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    took = json.loads(done.stdout)
    sys.stdout.write(f"{case}: {took}\n")
    assert took["problem"]
    assert says in took["problem"]
    assert took["megabytes"] < 500
