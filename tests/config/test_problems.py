from __future__ import annotations

import string
import tomllib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pybots.config.model import FarmConfiguration
from pybots.config.problems import MOST, Problem, nearest, of_syntax, of_validation
from pybots.config.toml_keys import tables_of
from pybots.config.toml_lines import lines_of
from pybots.registry.recipe import Recipe

RECIPE = """\
[project]
name = "example"
summary = "An example."
url = "https://example.org/"
contacts = ["someone@example.org"]

[source]
git = "https://example.org/example.git"
ref = "main"

[install]
requirements = ["pytest"]
extras = ["test"]
groups = ["dev"]
build_isolation = true
environment = { CC = "gcc" }

[test]
command = ["{python}", "-m", "pytest", "--junitxml={report}", "{deselect}"]
report = "junit"
directory = "tests"
environment = { TZ = "UTC" }

[limits]
wall_seconds = 600
quiet_seconds = 60
log_bytes = 1000
report_bytes = 1000
prepare_seconds = 60

[tracks]
branches = ["main"]
variants = ["default"]
platforms = ["linux-x86_64-glibc"]

[[deselect]]
tests = ["tests/test_a.py::test_b"]
reason = "It needs a network."
"""

FARM = """\
[farm]
name = "Test"

[trunk]
git = "../cpython"
branches = ["main"]

[variants]
default = []

[[worker]]
name = "alpha"
platform = "linux-x86_64-glibc"
interpreters = true
password_file = "secrets/alpha"
"""


def problems(text: str, model: type[BaseModel] = FarmConfiguration, file: str = "farm.toml") -> list[Problem]:
    try:
        model.model_validate(tomllib.loads(text))
    except ValidationError as error:
        return of_validation(error, model, file, lines_of(text))
    return []


def test_the_examples_are_valid() -> None:
    assert problems(FARM) == []
    assert problems(RECIPE, Recipe) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'name = "Test"',
            'nam = "Test"',
            "farm.toml:2: unknown key `nam` in [farm]; did you mean `name`?",
        ),
        (
            "interpreters = true",
            "trusted = true",
            "farm.toml:14: unknown key `trusted` in [[worker]] number 1; "
            "known here: name, platform, owner, slots, interpreters, password_file",
        ),
        (
            "[variants]",
            "[variant]",
            "farm.toml:8: unknown key `variant` at the top level; did you mean `variants`?",
        ),
        (
            'name = "Test"',
            "poll_seconds = 3",
            "farm.toml:2: unknown key `poll_seconds` in [farm]; it belongs in [trunk]",
        ),
        (
            'name = "Test"',
            "password_file = 3",
            "farm.toml:2: unknown key `password_file` in [farm]; it belongs in [[worker]]",
        ),
        (
            'git = "../cpython"',
            "poll_seconds = 3",
            "farm.toml:4: [trunk] needs `git`; Path or address of a CPython repository",
        ),
        (
            'password_file = "secrets/alpha"',
            "",
            "farm.toml:11: [[worker]] number 1 needs `password_file`; "
            "A file with the machine's password, relative to the farm's folder",
        ),
        (
            '[trunk]\ngit = "../cpython"\nbranches = ["main"]',
            "",
            "farm.toml: there is no [trunk] table; add one; it needs `git`",
        ),
        (
            'name = "Test"',
            "name = 3",
            "farm.toml:2: `name` in [farm] is the number 3; a string is wanted here",
        ),
        (
            "interpreters = true",
            'interpreters = "yes"',
            'farm.toml:14: `interpreters` in [[worker]] number 1 is the string "yes"; '
            "true or false is wanted here",
        ),
        (
            "default = []",
            'debug = ["--with-pydebug", 3]',
            "farm.toml:9: item 2 of `debug` in [variants] is the number 3; a string is wanted here",
        ),
        (
            "default = []",
            '"no spaces" = []',
            'farm.toml:9: `no spaces` in [variants] is the string "no spaces"; it must match '
            "^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$",
        ),
        (
            'branches = ["main"]',
            'branches = ["--upload-pack=x"]',
            'farm.toml:6: item 1 of `branches` in [trunk] is the string "--upload-pack=x"; '
            "allowed: letters, digits, `.`, `_`, `/` and `-`; at most 100",
        ),
        (
            'branches = ["main"]',
            "poll_seconds = 0",
            "farm.toml:6: `poll_seconds` in [trunk] is the number 0; it must be greater than or equal to 0.1",
        ),
        (
            'branches = ["main"]',
            "poll_seconds = inf",
            "farm.toml:6: `poll_seconds` in [trunk] is the number inf; it must be a finite number",
        ),
        (
            'name = "alpha"',
            'name = "al pha"',
            'farm.toml:12: `name` in [[worker]] number 1 is the string "al pha"; '
            "allowed: letters, digits, `_` and `-`, not beginning with a digit (Buildbot's rule); at most 40",
        ),
        (
            "interpreters = true",
            "slots = 2",
            "farm.toml:13: no worker with interpreters = true on platform 'linux-x86_64-glibc', so 'alpha' "
            "would never have anything to run; trust one worker of that platform to make interpreters",
        ),
        ("default = []", "", "farm.toml:8: no variant is left; write variants = { default = [] }"),
        (
            '[farm]\nname = "Test"',
            "farm = 1979-05-27",
            "farm.toml:1: `farm` at the top level is the date or time 1979-05-27; a table is wanted here",
        ),
        (
            "interpreters = true",
            "interpreters = true\nslots = 1.5",
            "farm.toml:15: `slots` in [[worker]] number 1 is the number 1.5; a whole number is wanted here",
        ),
    ],
)
def test_what_is_wrong_in_farm_toml_is_said(old: str, new: str, said: str) -> None:
    assert old in FARM
    assert [str(problem) for problem in problems(FARM.replace(old, new))] == [said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('report = "junit"', 'report = "xunit"', "did you mean `junit`?"),
        ('report = "junit"', 'report = "tap"', "it must be 'junit', 'subunit', 'unittest' or 'django'"),
        (
            'ref = "main"',
            'path = "x"',
            "x.toml:9: [source] gives git and path; give exactly one of pypi, git and path",
        ),
        ('ref = "main"', "", "x.toml:8: [source] needs ref beside git; name a branch, tag or commit"),
        (
            'reason = "It needs a network."',
            "",
            "x.toml:36: [[deselect]] number 1 needs `reason`; Why they are not run",
        ),
        ("wall_seconds = 600", "wall_seconds = 21601", "it must be less than or equal to 21600"),
        ("wall_seconds = 600", "wall_seconds = nan", "it must be a finite number"),
        (
            '{ TZ = "UTC" }',
            "{ TZ = 3 }",
            "`TZ` in [test.environment] is the number 3; a string is wanted here",
        ),
        ('contacts = ["someone@example.org"]', "contacts = []", "`contacts` in [project] is an empty list"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(old: str, new: str, said: str) -> None:
    assert old in RECIPE
    (problem,) = problems(RECIPE.replace(old, new), Recipe, "x.toml")
    assert said in str(problem)


def test_two_workers_of_one_name() -> None:
    again = FARM + FARM[FARM.index("[[worker]]") :]
    (problem,) = problems(again)
    assert str(problem) == "farm.toml:17: two workers are called 'alpha'; give each a name of its own"
    assert problem.where == "worker[1].name"


def test_problems_come_in_line_order_and_are_bounded() -> None:
    text = FARM + "".join(f"unknown{number} = 1\n" for number in range(MOST * 2))
    found = problems(text.replace('name = "Test"', "name = 1"))
    assert len(found) == MOST
    assert [problem.line for problem in found] == sorted(problem.line or 0 for problem in found)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nb = \n", 2, "Invalid value, at column 5"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite a value"),
        ("a = 1\nb = [1,\n2", 3, "Unclosed array"),
        ('a = "x', 1, "Unterminated string"),
    ],
)
def test_broken_toml_names_the_line(text: str, line: int, said: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as raised:
        tomllib.loads(text)
    problem = of_syntax(raised.value, "farm.toml", text)
    assert problem.line == line
    assert said in problem.what


def test_a_hostile_key_is_bounded_and_printable() -> None:
    (problem,) = problems('"' + "x" * 500 + '\\u001b[31m" = 1\n' + FARM)
    assert len(str(problem)) < 300
    assert str(problem).isprintable()


def known_keys(model: type[BaseModel]) -> list[tuple[str, tuple[str, ...]]]:
    return [(key, table.fields) for _, table in tables_of(model) for key in table.fields]


@pytest.mark.parametrize("model", [Recipe, FarmConfiguration])
def test_every_key_is_nearest_to_itself_with_a_letter_left_out(model: type[BaseModel]) -> None:
    for key, fields in known_keys(model):
        for index in range(len(key) if len(key) > 3 else 0):
            wrong = key[:index] + key[index + 1 :]
            assert nearest(wrong, fields) == key, wrong


LINES = RECIPE.splitlines()
KEY_LINES = [index for index, line in enumerate(LINES) if " = " in line]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_one_wrong_letter_in_a_key_names_its_line_and_the_right_key(data: Any) -> None:
    index = data.draw(st.sampled_from(KEY_LINES))
    key = LINES[index].split(" = ")[0]
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    wrong = key[:at] + letter + key[at + 1 :]
    assume(wrong != key)
    text = "\n".join([*LINES[:index], LINES[index].replace(key, wrong, 1), *LINES[index + 1 :]])
    unknown = [problem for problem in problems(text, Recipe, "x.toml") if "unknown key" in problem.what]
    assert [(problem.line, problem.hint) for problem in unknown] == [(index + 1, f"did you mean `{key}`?")]
    assert f"`{wrong}`" in unknown[0].what
