"""Talks to databases as a whole: a copy of one that is in use, into a file, and back into an empty one."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from pybots.database.migrate import DatabaseError

DUMP_SECONDS = 24 * 3600
BUSY_SECONDS = 60


def copy_out(url: str, target: Path) -> None:
    """Write one state of the database at *url* to *target*, while others write; raises DatabaseError.

    Of SQLite it is a database; of PostgreSQL what `pg_dump` writes in its custom format.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        _copy_sqlite(_file_of(address), target)
    else:
        _run("pg_dump", address, ["--format=custom", "--no-owner", f"--file={target}"])


def copy_in(source: Path, url: str) -> None:
    """Make the database at *url*, which must be empty or not there, what `copy_out` wrote to *source*."""
    address = make_url(url)
    _refuse_tables(url, address)
    if address.get_backend_name() == "sqlite":
        target = _file_of(address)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_sqlite(source, target)
    else:
        _run("pg_restore", address, ["--no-owner", "--single-transaction", "--exit-on-error"], [str(source)])


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        msg = f"there is no database at {source}"
        raise DatabaseError(msg)
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            # All pages in one step: it reads one state, and no writer makes it begin again.
            reading.backup(writing, pages=-1)
            # One file: the log beside a database is not copied with it.
            writing.execute("PRAGMA journal_mode=DELETE")
            says = writing.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        msg = f"the database {source} cannot be copied: {error}"
        raise DatabaseError(msg) from error
    if says != "ok":
        msg = f"the database {source} is damaged: {says}"
        raise DatabaseError(msg)


def _run(program: str, address: URL, options: list[str], files: list[str] | None = None) -> None:
    if shutil.which(program) is None:
        msg = (
            f"{program} is not installed: PostgreSQL's client programs copy its databases (postgresql-client)"
        )
        raise DatabaseError(msg)
    # No password: farm.toml has none, libpq finds it in ~/.pgpass.
    known = address.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(
        [program, *options, f"--dbname={known}", *(files or [])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=DUMP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        msg = f"{program} ended with {done.returncode}: {done.stderr.strip()[-2_000:]}"
        raise DatabaseError(msg)


def _refuse_tables(url: str, address: URL) -> None:
    if address.get_backend_name() == "sqlite":
        taken = _file_of(address).exists()
    else:
        engine = create_engine(url)
        try:
            taken = bool(inspect(engine).get_table_names())
        except SQLAlchemyError as error:
            msg = f"the database {address} cannot be reached: {str(error).splitlines()[0]}"
            raise DatabaseError(msg) from error
        finally:
            engine.dispose()
    if taken:
        msg = f"the database {address} is not empty: nothing is restored over it"
        raise DatabaseError(msg)


def _file_of(address: URL) -> Path:
    return Path(address.database or "")
