"""Decides how a suite's runner is told which tests alone to run, and says whether it did."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pybots_worker.contract import ReportFormat

PLUGIN_OPTION = "-p pybots_pytest"
_PYTEST = frozenset({"pytest", "py.test"})
_DEAF = frozenset("IE")
"""Options of Python that keep it from our path, and so from the plugin."""


def selecting_variables(
    command: Sequence[str], report: ReportFormat, environment: Mapping[str, str], tests: Path, selected: Path
) -> dict[str, str]:
    """Return the variables that have a suite run only what the file *tests* lists.

    Its runner makes the file *selected* when it has left the others out. Our own runners (`pybots_unittest`,
    `pybots_trial`, `pybots_django`) and pytest can; whatever else a command is sees variables that mean nothing to it.
    """
    variables = {"PYBOTS_TESTS": str(tests), "PYBOTS_SELECTED": str(selected)}
    if report is ReportFormat.JUNIT and runs_pytest(command):
        own = environment.get("PYTEST_ADDOPTS", "")
        variables["PYTEST_ADDOPTS"] = f"{PLUGIN_OPTION} {own}".strip()
    return variables


def runs_pytest(command: Sequence[str]) -> bool:
    """Whether a command runs pytest where it finds our plugin."""
    names = [PurePosixPath(argument).name for argument in command]
    place = next((index for index, name in enumerate(names) if name in _PYTEST), None)
    if place is None or (place and command[place - 1] != "-m"):
        return False
    options = [text for text in command[1:place] if text.startswith("-") and not text.startswith("--")]
    return all(_DEAF.isdisjoint(text) or text[1:2] in "WX" for text in options)


def was_selected(selected: Path) -> bool:
    """Whether the runner said so; what lies there may be anything."""
    try:
        return stat.S_ISREG(os.lstat(selected).st_mode)
    except OSError:
        return False
