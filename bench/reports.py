"""Makes reports as pytest writes them (`junit_family=xunit1`), with so many tests of which so many fail."""

from __future__ import annotations

import random
from xml.sax.saxutils import escape, quoteattr

TESTS_A_CLASS = 20
TESTS_A_MODULE = 100
CAUSE = "ImportError: cannot import name 'gone' from 'collections'"


def junit(tests: int, failing: range, *, one_cause: bool, seed: int) -> bytes:
    """Return a report of *tests* tests; those of *failing* fail, for one cause or each with a text of its own.

    Durations differ by *seed*, and addresses in tracebacks, as they do from run to run.
    """
    chance = random.Random(seed)  # noqa: S311  (nothing secret)
    bad = set(failing)
    cases = "".join(_case(number, number in bad, one_cause, chance) for number in range(tests))
    return (
        '<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">'
        f'<testsuite name="pytest" errors="0" failures="{len(bad)}" skipped="0" tests="{tests}"'
        f' time="{chance.random() * 100:.3f}" timestamp="2026-11-22T12:00:{seed % 60:02}.000000+00:00"'
        f' hostname="worker">{cases}</testsuite></testsuites>'
    ).encode()


def test_names(tests: int) -> list[str]:
    """Return the tests' names as pytest gives them."""
    return [
        f"tests/{_module(number)}.py::{_class(number)}::{_function(number)}[{number}]"
        for number in range(tests)
    ]


def _case(number: int, fails: bool, one_cause: bool, chance: random.Random) -> str:
    head = (
        f'<testcase classname="tests.{_module(number)}.{_class(number)}"'
        f' name="{_function(number)}[{number}]" file="tests/{_module(number)}.py"'
        f' line="{number % TESTS_A_MODULE * 7}" time="{chance.random() / 100:.3f}"'
    )
    if not fails:
        return f"{head} />"
    message, text = _cause() if one_cause else _own(number, chance)
    return f"{head}><failure message={quoteattr(message)}>{escape(text)}</failure></testcase>"


def _cause() -> tuple[str, str]:
    text = f"    from collections import gone\nE   {CAUSE}\n\ntests/conftest.py:7: ImportError"
    return CAUSE, text


def _own(number: int, chance: random.Random) -> tuple[str, str]:
    message = f"assert {number} == 42\n +  where {number} = answer({number})"
    text = (
        f"self = <tests.{_module(number)}.{_class(number)} object at 0x7f{chance.getrandbits(40):010x}>\n\n"
        f"    def {_function(number)}(self, number):\n        value = answer(number)\n"
        f">       assert value == 42\nE       assert {number} == 42\nE        +  where {number} = answer({number})"
        f"\n\ntests/{_module(number)}.py:{number % TESTS_A_MODULE * 7 + 3}: AssertionError"
    )
    return message, text


def _module(number: int) -> str:
    return f"test_module_{number // TESTS_A_MODULE:03}"


def _class(number: int) -> str:
    return f"TestThing{number // TESTS_A_CLASS % 5}"


def _function(number: int) -> str:
    return f"test_behaviour_{number % TESTS_A_CLASS}"
