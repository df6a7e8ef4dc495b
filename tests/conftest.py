"""With CI=true or PYBOTS_STRICT_SKIPS=1 a skipped test fails unless skips.toml says why it may be skipped."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

LIST = Path(__file__).with_name("skips.toml")


def read_skips(path: Path) -> dict[str, str]:
    """Return why each test (or pattern of tests) may be skipped; a usage error for a list that is not one."""
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("skip", [])
        skips = {entry["test"]: entry["reason"].strip() for entry in entries}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: {error!r}; write [[skip]] with test = and reason ="
        raise pytest.UsageError(msg) from error
    for test, reason in skips.items():
        if len(reason) < 10:
            msg = f"{path}: the reason of {test!r} says nothing; write why the test may be skipped"
            raise pytest.UsageError(msg)
    return skips


def pytest_configure(config: pytest.Config) -> None:
    strict = os.environ.get("CI") == "true" or os.environ.get("PYBOTS_STRICT_SKIPS") == "1"
    if strict:
        config.pluginmanager.register(StrictSkips(read_skips(LIST)), "pybots-strict-skips")


class StrictSkips:
    """Turns skips that are not listed into failures."""

    def __init__(self, allowed: dict[str, str]) -> None:
        self.allowed = allowed

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
        report: pytest.TestReport = yield
        # An expected failure is reported as a skip too.
        if report.skipped and not hasattr(report, "wasxfail"):
            self._judge(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, Any, pytest.CollectReport]:
        report: pytest.CollectReport = yield
        if report.skipped:
            self._judge(report)
        return report

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if any(fnmatchcase(report.nodeid, pattern) for pattern in self.allowed):
            return
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = (
            f"{said}\nNot listed in tests/skips.toml: make the test run, or list it with its reason."
        )
