from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pybots.config.model import FarmConfiguration
from pybots.registry import check
from pybots.registry.check import findings
from pybots.registry.recipe import Recipe
from pybots.registry.registry import Registered, check_against
from pybots_worker.runs import placeholders

PYTEST = ["{python}", "-m", "pytest", "--junitxml={report}"]


def recipe(**changes: dict[str, Any] | list[Any]) -> Recipe:
    values: dict[str, Any] = {
        "project": {"name": "example", "contacts": ["a@example.org"]},
        "source": {"pypi": "example"},
        "test": {"command": PYTEST, "report": "junit"},
    }
    for table, change in changes.items():
        values[table] = {**values.get(table, {}), **change} if isinstance(change, dict) else change
    return Recipe.model_validate(values)


def deselect(*tests: str) -> list[dict[str, Any]]:
    return [{"tests": list(tests), "reason": "They need a network."}]


def expect(*tests: str) -> list[dict[str, Any]]:
    day = date(2026, 12, 31)
    return [{"tests": list(tests), "reason": "They wait for a release.", "expires": day}]


GOOD = [
    recipe(expected_failure=expect("a::b", "a::c")),
    recipe(),
    recipe(test={"command": ["{python}", "-c", "print({}, {1: 2}, '{}'.format(1))", "{report}"]}),
    recipe(test={"command": [*PYTEST, "{deselect}"]}, deselect=deselect("a::b", "a::c")),
    recipe(
        test={"command": ["{python}", "-m", "pybots_trial", "x"], "report": "subunit"},
        deselect=deselect("a.b"),
    ),
    recipe(test={"command": ["{python}", "runtests.py"], "report": "django"}, deselect=deselect("a.b")),
    recipe(test={"command": ["{python}", "x"], "environment": {"OPTIONS": "--junitxml={report} {Other}"}}),
    recipe(install={"steps": [["{uv}", "pip", "install", "--python", "{python}", "{source}"]]}),
    recipe(
        install={"requirements": ["a>=1,<2; python_version > '3'", "b[c]", "d @ https://example.org/d.whl"]}
    ),
    recipe(install={"extras": ["a_b"], "groups": ["tests.all"], "environment": {"_X1": ""}}),
    recipe(limits={"wall_seconds": 60}),
    recipe(
        service={
            "install": [["{uv}", "{service}"]],
            "start": ["{python}", "{service}"],
            "ready": ["{source}/a"],
        }
    ),
    recipe(source={"pypi": "zope.interface", "version": "5.0rc1"}, project={"url": "http://example.org"}),
]


@pytest.mark.parametrize("good", GOOD)
def test_what_makes_sense(good: Recipe) -> None:
    assert findings(good) == []


@pytest.mark.parametrize(
    ("bad", "path", "what", "hint"),
    [
        (
            recipe(test={"command": ["{pyhton}", "{report}"]}),
            ("test", "command", 0),
            "unknown placeholder {pyhton}",
            "did you mean {python}?",
        ),
        (
            recipe(test={"command": ["tox", "{posargs}", "{report}"]}),
            ("test", "command", 1),
            "unknown placeholder {posargs}",
            "known here: {python}, {source}, {report}, {deselect}",
        ),
        (
            recipe(test={"command": ["{python}", "{uv}", "{report}"]}),
            ("test", "command", 1),
            "unknown placeholder {uv}",
            "known here",
        ),
        (
            recipe(install={"steps": [["{python}"], ["{uv}", "{report}"]]}),
            ("install", "steps", 1, 1),
            "unknown placeholder {report}",
            "known here: {python}, {source}, {uv}",
        ),
        (recipe(test={"command": ["pytest"]}), ("test", "command"), "where the report goes", "add {report}"),
        (recipe(test={"command": ["", "{report}"]}), ("test", "command", 0), "program", "{python}"),
        (
            recipe(test={"command": [*PYTEST, "x{deselect}"]}),
            ("test", "command", 4),
            "stands for several",
            "of its own",
        ),
        (recipe(deselect=deselect("a::b")), ("deselect",), "nothing would be deselected", "{deselect}"),
        (
            recipe(test={"command": ["trial", "x"], "report": "subunit"}, deselect=deselect("a")),
            ("deselect",),
            "nothing would be deselected",
            "pybots_trial",
        ),
        (
            recipe(test={"command": ["pybots_unittest", "{deselect}"], "report": "unittest"}),
            ("test", "command", 1),
            "pytest's options",
            "leave it out",
        ),
        (
            recipe(test={"command": [*PYTEST, "{deselect}"]}, deselect=deselect("a") + deselect("b", "a")),
            ("deselect", 1, "tests", 1),
            "'a' is deselected twice",
            "leave it out",
        ),
        (
            recipe(expected_failure=expect("a") + expect("b", "a")),
            ("expected_failure", 1, "tests", 1),
            "'a' is expected to fail twice",
            "leave it out",
        ),
        (
            recipe(
                test={"command": [*PYTEST, "{deselect}"]},
                deselect=deselect("a"),
                expected_failure=expect("a"),
            ),
            ("expected_failure", 0, "tests", 0),
            "'a' is deselected",
            "or in [[deselect]]",
        ),
        (
            recipe(test={"command": [*PYTEST, "{deselect}"]}, deselect=deselect("")),
            ("deselect", 0, "tests", 0),
            "without a name",
            "leave it out",
        ),
        (
            recipe(install={"steps": [["{uv}"]], "extras": ["a"]}),
            ("install", "extras"),
            "extras would not be installed",
            "in a step",
        ),
        (
            recipe(test={"environment": {"A": "{uv}"}}),
            ("test", "environment", "A"),
            "unknown placeholder {uv}",
            "known here: {python}, {source}, {report}",
        ),
        (
            recipe(test={"environment": {"A-B": "x"}}),
            ("test", "environment", "A-B"),
            "not the name of an environment variable",
            "letters",
        ),
        (
            recipe(install={"environment": {"PYBOTS_REPORT": "x"}}),
            ("install", "environment", "PYBOTS_REPORT"),
            "Pybots' own",
            "another",
        ),
        (
            recipe(install={"requirements": ["a", "-r b.txt"]}),
            ("install", "requirements", 1),
            "-r b",
            "options",
        ),
        (recipe(install={"extras": ["a]b"]}), ("install", "extras", 0), "not a name", "alone"),
        (recipe(install={"groups": ["--x"]}), ("install", "groups", 0), "not a name", "alone"),
        (recipe(source={"pypi": "a>=1"}), ("source", "pypi"), "not a project's name", "alone"),
        (recipe(source={"version": ">=1"}), ("source", "version"), "not a version", "2.1.0"),
        (
            recipe(source={"pypi": "", "git": "https://example.org", "ref": "--upload-pack=x"}),
            ("source", "ref"),
            "hyphen",
            "correct",
        ),
        (recipe(project={"url": "javascript:alert(1)"}), ("project", "url"), "not a web address", "https"),
        (
            recipe(project={"contacts": ["a@example.org", "b@example.org\nBcc: c@example.org"]}),
            ("project", "contacts", 1),
            "not an e-mail address",
            "name@example.org",
        ),
        (recipe(test={"directory": "a/../../b"}), ("test", "directory"), "outside of the source", "below"),
        (recipe(test={"directory": "/etc"}), ("test", "directory"), "outside of the source", "below"),
        (
            recipe(service={"start": ["{python}", "{report}"], "ready": ["true"]}),
            ("service", "start", 1),
            "unknown placeholder {report}",
            "known here: {python}, {source}, {service}",
        ),
        (
            recipe(service={"start": ["x"], "ready": ["{uv}"]}),
            ("service", "ready", 0),
            "unknown placeholder {uv}",
            "known here",
        ),
        (
            recipe(service={"install": [["{uv}"], ["{servce}"]], "start": ["x"], "ready": ["x"]}),
            ("service", "install", 1, 0),
            "unknown placeholder {servce}",
            "did you mean {service}?",
        ),
        (
            recipe(limits={"wall_seconds": 60, "quiet_seconds": 61}),
            ("limits", "quiet_seconds"),
            "never counts",
            "shorter",
        ),
        (
            recipe(test={"environment": {"A": "x\0y"}}),
            ("test", "environment", "A"),
            "`A` holds a NUL character",
            "leave it out",
        ),
    ],
)
def test_what_makes_no_sense(bad: Recipe, path: tuple[str | int, ...], what: str, hint: str) -> None:
    (found,) = findings(bad)
    assert found[0] == path
    assert what in found[1]
    assert hint in found[2]


@pytest.mark.parametrize("good", GOOD)
def test_the_worker_finds_nothing_wrong_in_what_we_let_pass(good: Recipe) -> None:
    assert not placeholders.problems(
        install=good.install.steps or [],
        command=good.test.command,
        environment=good.install.environment | good.test.environment,
        report=good.test.report,
        deselected=[test for group in good.deselect for test in group.tests],
        service=good.service,
    )


@pytest.mark.parametrize("name", [name for name in vars(check) if name.endswith("_PLACEHOLDERS")])
def test_placeholders_are_those_that_the_worker_fills_in(name: str) -> None:
    assert getattr(check, name) == getattr(placeholders, name)


def test_tracks_that_a_farm_lacks_are_a_problem_for_that_farm_alone() -> None:
    farm = FarmConfiguration.model_validate(
        {
            "trunk": {"git": "x", "branches": ["main", "3.14"]},
            "variants": {"default": [], "debug": []},
            "worker": [
                {"name": "a", "platform": "linux-x86_64-glibc", "interpreters": True, "password_file": "p"}
            ],
        }
    )

    def problems(**tracks: list[str]) -> list[str]:
        registered = Registered(recipe(tracks=tracks), Path("x.toml"), "")
        return [str(problem) for problem in check_against(registered, farm)]

    assert problems() == []
    assert problems(branches=["main"], variants=["debug"], platforms=["linux-x86_64-glibc"]) == []
    assert problems(branches=["main", "3.15"], variants=["jit"]) == [
        "x.toml: this farm has no '3.15' among its branches; did you mean '3.14'?",
        "x.toml: this farm has no 'jit' among its variants; it has default, debug",
    ]
