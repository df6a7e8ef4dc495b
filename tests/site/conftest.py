"""A results database on disk, and the site over it."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pybots.database.engine import Sessions
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
def serve() -> type[Client]:
    """Makes a client of sessions."""

    class Served(Client):
        def __init__(self, sessions: Sessions) -> None:
            super().__init__(make_application(sessions, now, "Pybots"))

    return Served


@pytest.fixture(scope="session")
def filled(databases: Any) -> Iterator[Sessions]:
    """Five projects on two tracks; tests only read it."""
    with databases.sessions() as sessions:
        with sessions.writing() as session:
            SITE_ROWS.fill(session)
        yield sessions


@pytest.fixture(scope="session")
def client(filled: Sessions) -> Client:
    """The site over the filled database."""
    return Client(make_application(filled, now, "Pybots"))
