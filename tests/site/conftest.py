"""A results database on disk, and the site over it."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Base
from pybots.site.application import make_application

SITE_ROWS = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("site_rows.py"))))


@pytest.fixture(scope="session")
def site_rows() -> SimpleNamespace:
    """The module site_rows.py: `SiteRows`, `fill`, `NOW`, ..."""
    return SITE_ROWS


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    """An empty results database with all its tables."""
    engine = open_engine(f"sqlite:///{tmp_path}/results.sqlite")
    Base.metadata.create_all(engine)
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture
def filled(sessions: Sessions) -> Sessions:
    """Five projects on two tracks."""
    with sessions.writing() as session:
        SITE_ROWS.fill(session)
    return sessions


def now() -> datetime:
    """The tests' clock stands still."""
    return SITE_ROWS.NOW


@pytest.fixture
def client(filled: Sessions) -> TestClient:
    """The site over the filled database."""
    return TestClient(make_application(filled, now, "Pybots"))
