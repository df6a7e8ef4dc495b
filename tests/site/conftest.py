"""A results database on disk, and the site over it."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Base
from pybots.site.application import make_application

SITE_ROWS = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("site_rows.py"))))


def now() -> datetime:
    """The tests' clock stands still."""
    return SITE_ROWS.NOW


class Client:
    """Asks the application in this process; `get` returns what a browser would see."""

    def __init__(self, application: FastAPI) -> None:
        self.application = application

    def get(self, address: str, **headers: str) -> httpx.Response:
        return self.ask("GET", address, **headers)

    def ask(self, method: str, address: str, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
                return await client.request(method, address, headers=headers)

        return asyncio.run(ask())


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
def serve() -> type[Client]:
    """Makes a client of sessions."""

    class Served(Client):
        def __init__(self, sessions: Sessions) -> None:
            super().__init__(make_application(sessions, now, "Pybots"))

    return Served


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """Five projects on two tracks; tests only read it."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('filled')}/results.sqlite")
    Base.metadata.create_all(engine)
    sessions = Sessions(engine)
    with sessions.writing() as session:
        SITE_ROWS.fill(session)
    yield sessions
    engine.dispose()


@pytest.fixture(scope="session")
def client(filled: Sessions) -> Client:
    """The site over the filled database."""
    return Client(make_application(filled, now, "Pybots"))
