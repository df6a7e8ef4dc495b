"""With CI=true or PYBOTS_STRICT_SKIPS=1 a skipped test fails unless skips.toml says why it may be skipped."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import postgresql
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate

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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.PostgreSQL]:
    """One server for all tests."""
    missing = postgresql.why_not()
    if missing:
        pytest.skip(missing)
    # Not in pytest's own folder: a socket's path has room for a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pybots-pg-"))
    server = postgresql.PostgreSQL(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Databases:
    """Makes results databases of one kind. Whatever test asks for one runs on both kinds."""

    def __init__(self, folders: Callable[[str], Path], server: postgresql.PostgreSQL | None) -> None:
        self._folders = folders
        self._server = server
        self._migrated = ""

    @property
    def kind(self) -> str:
        return "postgresql" if self._server else "sqlite"

    def empty(self) -> str:
        """The URL of a new one without tables."""
        return self._server.new_database() if self._server else self._file(self._folders("database"))

    def migrated(self) -> str:
        """The URL of a new one with all tables, which is a copy of one that was migrated once."""
        if not self._migrated:
            self._migrated = self.empty()
            engine = open_engine(self._migrated)
            migrate(engine)
            engine.dispose()
        if self._server:
            return self._server.new_database(self._migrated)
        folder = self._folders("database")
        shutil.copy(self._migrated.removeprefix("sqlite:///"), folder / "results.sqlite")
        return self._file(folder)

    @contextmanager
    def sessions(self) -> Iterator[Sessions]:
        """Sessions on a new migrated one, for as long as the block lasts."""
        url = self.migrated()
        engine = open_engine(url)
        yield Sessions(engine)
        engine.dispose()
        if self._server:
            self._server.drop(url)

    @staticmethod
    def _file(folder: Path) -> str:
        return f"sqlite:///{folder}/results.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"], scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Databases of either kind."""
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    return Databases(tmp_path_factory.mktemp, server)


@pytest.fixture
def sessions(databases: Databases) -> Iterator[Sessions]:
    """Sessions on a new results database with all its tables, of either kind."""
    with databases.sessions() as made:
        yield made
