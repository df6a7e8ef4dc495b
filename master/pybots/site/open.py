"""Talks to the results database before anybody else: is it there, and can it be read?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pybots.database.engine import Sessions
from pybots.database.tables import Base

T = TypeVar("T")


class NotStartedError(Exception):
    """There is no results database yet: the farm was never started."""

    def __str__(self) -> str:
        return "the farm has not started yet: there are no results"


class UnreadableError(Exception):
    """The results database is there, but cannot be read."""


def reading(sessions: Sessions, read: Callable[[Session], T]) -> T:
    """Return *read* of a short session; the database is never made, changed or migrated.

    Raises NotStartedError where the file or a table is missing, UnreadableError where a query fails.
    """
    if _file_missing(sessions):
        # SQLite would make an empty file, and the master would find a database without tables.
        raise NotStartedError
    try:
        with sessions.reading() as session:
            return read(session)
    except SQLAlchemyError as error:
        if _tables_missing(sessions):
            raise NotStartedError from error
        message = f"the results database cannot be read: {_why(sessions, error)}"
        raise UnreadableError(message) from error


def _file_missing(sessions: Sessions) -> bool:
    url = sessions.engine.url
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return False
    return not Path(str(url.database)).is_file()


def _why(sessions: Sessions, error: SQLAlchemyError) -> str:
    url = sessions.engine.url
    folder = Path(str(url.database)).parent
    if url.get_backend_name() == "sqlite" and not os.access(folder, os.W_OK):
        # Its log and its locks are files beside it, and once the master is gone nobody else makes them.
        return (
            f"this account may not write in {folder}, which reading SQLite takes; let it, or use PostgreSQL"
        )
    return str(error).splitlines()[0]


def _tables_missing(sessions: Sessions) -> bool:
    try:
        there = set(inspect(sessions.engine).get_table_names())
    except SQLAlchemyError:
        return False
    return not there & set(Base.metadata.tables)
