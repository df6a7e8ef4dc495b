"""Talks to the results database: engines, and sessions that read or write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

BUSY_MILLISECONDS = 30_000
# Any number will do, as long as nobody else asks the same PostgreSQL database for it.
WRITERS_LOCK = 0x70_79_62_6F_74_77
CACHE_KILOBYTES = 16_000
"""Of a connection, as far as it has use for it: SQLite's own two megabytes do not hold the indexes of many failures."""
LOG_BYTES = 4 << 20
"""What SQLite's write-ahead log shrinks to again, once no long reader needs the rest of it."""


def open_engine(url: str) -> Engine:
    """Return a pooled engine for *url*. A writer waits for another, and fails after BUSY_MILLISECONDS."""
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_pre_ping=True)
        event.listen(engine, "begin", _one_writer)
        return engine
    in_memory = url in {"sqlite://", "sqlite:///:memory:"}
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False}}
    if in_memory:
        options["poolclass"] = StaticPool
    engine = create_engine(url, **options)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN would be deferred; `_begin` says which kind is meant.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA cache_size=-{CACHE_KILOBYTES}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once when another wrote in between, in
    # spite of the busy timeout: writers say so from the start.
    options = connection.get_execution_options()
    if options.get("pybots_migrates", False):
        # Tables are copied to be changed, and dropping one must not count as deleting its rows. Within a
        # transaction this cannot be said any more.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("pybots_writes", False) else "BEGIN")


def _one_writer(connection: Connection) -> None:
    # As with SQLite: who looks whether something is there and then adds it is not overtaken by another.
    if connection.get_execution_options().get("pybots_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_MILLISECONDS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")


class Sessions:
    """Hands out short sessions on one engine: any number that read, one at a time that writes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(pybots_writes=True)
        # SQLite's readers see one state as they are; PostgreSQL's have to be told.
        one_state = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = engine.execution_options(**one_state) if engine.name == "postgresql" else engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and saves nothing."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: all of it is saved when the block ends, or nothing when it raises."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session
