"""Brings a results database to the newest revision of its tables."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

# Any number will do, as long as nobody else asks the same PostgreSQL database for it.
_LOCK = 0x70_79_62_6F_74_73


class DatabaseError(Exception):
    """A database that cannot be used; the text says why, and what to do."""


def migrate(engine: Engine, to: str = "head") -> None:
    """Make all tables, or change them to what this version of Pybots expects; nothing where they are so.

    Processes that come together wait for one another; all is done in one transaction, or nothing. Raises
    DatabaseError where the database is of a newer Pybots, or was not made by a migration.
    """
    with engine.execution_options(pybots_writes=True, pybots_migrates=True).connect() as connection:
        try:
            with connection.begin():
                _migrate(connection, to)
        finally:
            if connection.dialect.name == "sqlite":
                connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


def _migrate(connection: Connection, to: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    with as_file(files("pybots.database") / "migrations") as folder:
        configuration = migration_configuration(str(folder), connection)
        if not _is_behind(ScriptDirectory.from_config(configuration), connection):
            return
        command.upgrade(configuration, to)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        msg = f"the results database {_shown(connection)} has rows that refer to rows that do not exist"
        raise DatabaseError(msg)


def migration_configuration(folder: str, connection: Connection) -> Config:
    """Return what Alembic needs to work on *connection* with the revisions in *folder*."""
    configuration = Config()
    configuration.set_main_option("script_location", folder.replace("%", "%%"))
    configuration.set_main_option("path_separator", "newline")
    configuration.attributes["connection"] = connection
    return configuration


def _is_behind(scripts: ScriptDirectory, connection: Connection) -> bool:
    known = {script.revision for script in scripts.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    unknown = sorted(set(current) - known)
    if unknown:
        msg = (
            f"the results database {_shown(connection)} is at revision {unknown[0]}, and the newest that this "
            f"version of Pybots knows is {scripts.get_current_head()}: install the newer Pybots that wrote it, "
            "or name another database in farm.toml"
        )
        raise DatabaseError(msg)
    if not current and inspect(connection).has_table("runs"):
        msg = (
            f"the database {_shown(connection)} has tables that no migration of Pybots made: "
            "name another database in farm.toml"
        )
        raise DatabaseError(msg)
    return set(current) != set(scripts.get_heads())


def _shown(connection: Connection) -> str:
    return connection.engine.url.render_as_string(hide_password=True)
