"""Placeholders in recipes."""

from __future__ import annotations

import pytest

from pybots_worker.contract import ReportFormat
from pybots_worker.runs.placeholders import fill, problems

VALUES = {"python": "/v/bin/python", "source": "/s", "report": "/r"}


@pytest.mark.parametrize(
    ("arguments", "filled"),
    [
        (["{python}", "-m", "x"], ["/v/bin/python", "-m", "x"]),
        (["--out={report}", "{source}/tests"], ["--out=/r", "/s/tests"]),
        (["{deselect}", "-q"], ["--deselect=a.py::b", "--deselect=c.py::d[{python}]", "-q"]),
        (["{}", "{A}", "{'python': 1}", "${HOME}"], ["{}", "{A}", "{'python': 1}", "${HOME}"]),
    ],
)
def test_fill(arguments: list[str], filled: list[str]) -> None:
    assert fill(arguments, VALUES, ["a.py::b", "c.py::d[{python}]"]) == filled


@pytest.mark.parametrize(
    ("command", "install", "environment", "deselected", "problem"),
    [
        (["{python}", "--junit={report}"], [], {}, [], ""),
        (
            ["{pyton}", "{report}"],
            [],
            {},
            [],
            "the test command has the unknown placeholder {pyton}; it may use {python}",
        ),
        (["{uv}", "{report}"], [], {}, [], "unknown placeholder {uv}"),
        (["x", "{report}"], [["{report}"]], {}, [], "an install step has the unknown placeholder {report}"),
        (["x", "{report}"], [["{uv}", "{python}", "{source}"]], {}, [], ""),
        (
            ["x", "{report}"],
            [],
            {"A": "{deselect}"},
            [],
            "the environment has the unknown placeholder {deselect}",
        ),
        (["x"], [], {"ADDOPTS": "--junit={report}"}, [], ""),
        (["x"], [], {}, [], "the test command does not name it"),
        (["x", "{report}"], [], {}, ["t"], "the test command has no {deselect}"),
        (["x", "{report}", "--{deselect}"], [], {}, ["t"], "has to be an argument of its own"),
    ],
)
def test_problems(
    command: list[str],
    install: list[list[str]],
    environment: dict[str, str],
    deselected: list[str],
    problem: str,
) -> None:
    found = problems(
        install=install,
        command=command,
        environment=environment,
        report=ReportFormat.JUNIT,
        deselected=deselected,
    )
    assert (problem in found[0]) if problem else not found


def test_our_own_reports_need_no_placeholder() -> None:
    for report in (ReportFormat.SUBUNIT, ReportFormat.UNITTEST, ReportFormat.DJANGO):
        assert not problems(install=[], command=["x"], environment={}, report=report, deselected=["t"])
