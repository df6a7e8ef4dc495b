"""A pytest plugin (`-p pybots_pytest`): runs the asked tests alone, by the names that pytest's junitxml gives them.

It works in the processes of pytest-xdist too. A pytest that the suite itself starts does not get it.
"""

from __future__ import annotations

import os
from typing import Any, Iterator

import pytest
from _pytest.junitxml import bin_xml_escape, mangle_test_address
from pybots_asked import read_asked  # type: ignore[import-not-found]
from pybots_names import junit_name  # type: ignore[import-not-found]

OPTIONS_VARIABLE = "PYTEST_ADDOPTS"
OPTION = "-p pybots_pytest"
_FAMILIES_WITH_FILES = ("xunit1", "legacy")


def reported_name(config: Any, item: Any) -> str:
    """Return what the results call an item."""
    names = mangle_test_address(item.nodeid)
    classnames = names[:-1]
    if config.getoption("junitprefix", None):
        classnames.insert(0, config.getoption("junitprefix"))
    has_file = config.getini("junit_family") in _FAMILIES_WITH_FILES
    file = str(item.location[0]) if has_file else ""
    suite = config.getini("junit_suite_name") == "pytest"
    name: str = junit_name(".".join(classnames), str(bin_xml_escape(names[-1])), file, suite)
    return name


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> Iterator[None]:
    """Leave the others out, when every other plugin has had its say."""
    outcome: Any = yield
    outcome.get_result()
    _forget_option()
    asked = read_asked()
    if asked is None:
        return
    kept: list[Any] = []
    others: list[Any] = []
    for item in items:
        (kept if reported_name(config, item) in asked else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept
    asked.told()


def _forget_option() -> None:
    """Take the option that loaded us out of the environment: a test may run pytest itself.

    Not before tests are collected here: pytest-xdist's processes, which do that instead, read it from there.
    """
    rest = os.environ.get(OPTIONS_VARIABLE, "").replace(OPTION, "", 1).strip()
    if rest:
        os.environ[OPTIONS_VARIABLE] = rest
    else:
        os.environ.pop(OPTIONS_VARIABLE, None)
