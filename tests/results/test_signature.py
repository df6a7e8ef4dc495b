from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots.results.outcome import Failure
from pybots.results.signature import _CHANGING, last_frames, normalised, signature, trim_traceback

STANDARD = """Traceback (most recent call last):
  File "{prefix}/src/twisted/internet/defer.py", line {line}, in _runCallbacks
    current.result = callback(current.result, *args, **kwargs)
  File "{prefix}/src/twisted/web/client.py", line {other}, in gotHeaders
    {code}
{end}
"""
PYTEST = """
    def test_roundtrip(self, tmp_path):
>       assert load(tmp_path) == 3
E       {end}

{prefix}tests/test_make.py:{line}: AssertionError
"""


def standard(
    end: str, *, prefix: str = "/build/a1", line: int = 700, other: int = 12, code: str = "x()"
) -> Failure:
    kind, _, message = end.partition(": ")
    return Failure(kind, message, STANDARD.format(prefix=prefix, line=line, other=other, code=code, end=end))


SAME = {
    "address of an object": (
        "<Foo object at 0x7f3a5c0e1d90> is not <Foo object at 0x7f3a5c0e1e00>",
        "<Foo object at 0x55d0aa00bb10> is not <Foo object at 0x55d0aa00cc20>",
    ),
    "temporary folder": (
        "[Errno 2] No such file or directory: '/tmp/tmpab12cd34/settings.toml'",
        "[Errno 2] No such file or directory: '/var/tmp/tmpzz98yx_1/settings.toml'",
    ),
    "pytest's folder": (
        "could not read /tmp/pytest-of-root/pytest-14/data/a.json",
        "could not read /tmp/pytest-of-builder/pytest-0/data/a.json",
    ),
    "Windows folder": (
        r"cannot open C:\Users\ada\AppData\Local\data.bin",
        r"cannot open D:\a\1\data.bin",
    ),
    "temporary name": ("module tmpabcdefgh has no attribute x", "module tmp0a1b2c3d has no attribute x"),
    "port": ("Connection to localhost:41234 refused", "Connection to localhost:55001 refused"),
    "port of a tuple": ("('127.0.0.1', 41234) timed out", "('127.0.0.1', 6021) timed out"),
    "port in words": ("address in use: port 8080", "address in use: port 9999"),
    "process": ("child with pid 4242 went away", "child with pid 17 went away"),
    "thread": ("error in Thread-12 (worker)", "error in Thread-3 (worker)"),
    "task": ("<Task pending name='Task-41'>", "<Task pending name='Task-7'>"),
    "pool": ("ForkPoolWorker-2 died", "ForkPoolWorker-11 died"),
    "duration": ("Timeout >30.02s", "Timeout >31.5s"),
    "duration in words": ("took 0.53 seconds, more than wanted", "took 12 seconds, more than wanted"),
    "time": ("expired at 2026-11-22T12:00:01.123456+00:00", "expired at 2027-01-03 01:59:59Z"),
    "seconds since 1970": ("stamp 1763812345.33 is old", "stamp 1793812001.9 is old"),
    "uuid": (
        "no session 6f1c2a34-0a7b-4c1f-9d7c-0123456789ab",
        "no session 00000000-1111-2222-3333-444444444444",
    ),
    "line": ("invalid syntax (a.py, line 12)", "invalid syntax (a.py, line 400)"),
    "line of a C file": (
        "Objects/dictobject.c:1234: assertion failed",
        "Objects/dictobject.c:99: assertion failed",
    ),
    "identity": ("object 140234866357520 was freed", "object 94321212345678 was freed"),
    "digest": ("unknown blob " + "ab12" * 16, "unknown blob " + "09fe" * 16),
    "white space": ("expected  a\n   but was b", "expected a but was b"),
    "pytest's hint": (
        "a\n[+12 more lines; full report in element text]",
        "a\n[truncated; full report in element text]",
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_place_and_time_do_not_count(one: str, other: str) -> None:
    assert signature(standard(f"OSError: {one}")) == signature(
        standard(f"OSError: {other}", prefix="/home/volunteer", line=801, other=13)
    )


DIFFERENT = {
    "type": (standard("ValueError: bad"), standard("TypeError: bad")),
    "message": (standard("ValueError: bad magic"), standard("ValueError: bad number")),
    "value": (standard("AssertionError: 3 != 4"), standard("AssertionError: 3 != 5")),
    "name of a file": (
        standard("OSError: No such file or directory: '/usr/lib/a.so'"),
        standard("OSError: No such file or directory: '/usr/lib/b.so'"),
    ),
    "attribute": (
        standard("AttributeError: module 'ast' has no attribute 'Str'"),
        standard("AttributeError: module 'ast' has no attribute 'Num'"),
    ),
    "host": (standard("OSError: example.org refused"), standard("OSError: example.com refused")),
    "small hexadecimal number": (
        standard("ValueError: bad magic 0xcb"),
        standard("ValueError: bad magic 0xa7"),
    ),
    "version": (standard("ImportError: needs 3.14"), standard("ImportError: needs 3.15")),
    "path of an address": (
        standard("HTTPError: 404 for http://example.org/a/x"),
        standard("HTTPError: 404 for http://example.org/b/x"),
    ),
    "place of the fault": (
        Failure("KeyError", "'a'", 'File "/s/json/decoder.py", line 1, in decode'),
        Failure("KeyError", "'a'", 'File "/s/json/encoder.py", line 1, in encode'),
    ),
    "nothing and something": (Failure("", "", ""), Failure("", "x", "")),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_another_fault_has_another_signature(one: Failure, other: Failure) -> None:
    assert signature(one) != signature(other)


def test_pytests_own_tracebacks() -> None:
    one = PYTEST.format(end="assert 2 == 3", prefix="", line=12)
    moved = PYTEST.format(end="assert 2 == 3", prefix="/srv/", line=99)
    assert last_frames(one) == [("test_make.py", "")]
    assert signature(Failure("AssertionError", "assert 2 == 3", one)) == signature(
        Failure("AssertionError", "assert 2 == 3", moved)
    )


def test_frames_innermost_last_and_no_more_than_three() -> None:
    text = "".join(f'  File "/a/b{n}.py", line {n}, in f{n}\n    g()\n' for n in range(9)) + "ValueError: x\n"
    assert last_frames(text) == [("b6.py", "f6"), ("b7.py", "f7"), ("b8.py", "f8")]


def test_module_prefix_of_an_exception_does_not_count() -> None:
    assert signature(Failure("json.decoder.JSONDecodeError", "x", "")) == signature(
        Failure("JSONDecodeError", "x", "")
    )


def test_trimming_keeps_head_and_last_frames() -> None:
    lines = [f"line number {n}" for n in range(10_000)]
    text = "\n".join(["Traceback (most recent call last):", *lines, "ValueError: at last"])
    trimmed = trim_traceback(text)
    assert len(trimmed) <= 20_000
    assert trimmed.startswith("Traceback (most recent call last):\nline number 0\n")
    assert trimmed.endswith("line number 9999\nValueError: at last")
    assert "characters left out" in trimmed


def test_what_is_short_stays_as_it_is() -> None:
    assert trim_traceback("a\nb") == "a\nb"


@settings(deadline=None)
@given(st.text(max_size=3_000), st.integers(min_value=0, max_value=500))
def test_trimming_is_bounded_and_idempotent(text: str, length: int) -> None:
    trimmed = trim_traceback(text, length)
    assert len(trimmed) <= length
    assert trim_traceback(trimmed, length) == trimmed


@settings(deadline=None)
@given(st.text(), st.text(max_size=3_000), st.text(max_size=3_000))
def test_any_failure_has_a_signature(exception: str, message: str, traceback: str) -> None:
    signed = signature(Failure(exception, message, traceback))
    assert len(signed) == 64
    assert signed == signature(Failure(exception, message, traceback))


PIECES = st.sampled_from(
    ["/", "\\", "C:", ":", "0x", "1", "-", " ", "tmp", "a", ".", "'", "[", 'File "', "\n", "12:"]
)


@settings(deadline=2_000)
@given(st.lists(PIECES, max_size=2_000).map("".join))
def test_normalising_takes_no_time_on_anything(text: str) -> None:
    normalised(text[:2_000])
    last_frames(text)


CHANGING = st.sampled_from(
    [
        "/srv/a/b.py:12", "C:\\a\\b.py", "0x7f00aa11bb22", "3 s", "12.5 ms", "5µs", "PORT 80", "127.0.0.1:8080",
        "('localhost', 80)", "line 12", "Lineno=3", "pid=7", "FD 3", "Thread-12", "MyWorker-3_1", "1732280000.5",
        "123456789012", "2026-11-22T12:00:00Z", "1:02:03", "tmpabc123_x", "pytest-of-me", "d" * 40, "0" * 33, "\u017f",
        "[truncated]; full report in element text]", "123e4567-e89b-12d3-a456-426614174000", " ", "\n", "\x1c", "x",
        "\u0663 s", "native_id#1", "1e-05seconds",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.lists(st.one_of(CHANGING, PIECES), max_size=12).map("".join), st.text(max_size=60)))
def test_looking_first_whether_a_pattern_can_match_changes_nothing(text: str) -> None:
    plainly = text
    for pattern, replacement, _ in _CHANGING:
        plainly = pattern.sub(replacement, plainly)
    assert normalised(text) == re.sub(r"\s+", " ", plainly).strip()
