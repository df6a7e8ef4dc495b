"""Writes the unreleased revision anew: what tables.py has beyond the revisions that releases have."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy import Column, DefaultClause, text

from pybots.database.engine import open_engine
from pybots.database.migrate import migration_configuration

FOLDER = Path(__file__).parent
RELEASED = "0002"
"""The newest revision that a release has. It and those before it are never changed again; raise it at a release."""
UNRELEASED = f"{int(RELEASED) + 1:04}"
_FILE = FOLDER / "versions" / f"revision_{UNRELEASED}.py"
_MESSAGE = f"""What tables.py has beyond revision {RELEASED}.

Until a release has it, it is written anew after every change in tables.py:

    .venv/bin/python -m pybots.database.migrations.regenerate
    .venv/bin/ruff format master/pybots/database/migrations
    .venv/bin/ruff check --fix master/pybots/database/migrations
"""


def regenerate() -> bool:
    """Compare the tables with what the released revisions make; True where a revision was needed, and written."""
    _FILE.unlink(missing_ok=True)
    written: list[bool] = []

    def complete(_: MigrationContext, __: object, scripts: list[ops.MigrationScript]) -> None:
        _completed(scripts)
        written.append(bool(scripts))

    with open_engine("sqlite://").begin() as connection:
        configuration = migration_configuration(str(FOLDER), connection)
        configuration.set_main_option("file_template", "revision_%%(rev)s")
        command.upgrade(configuration, RELEASED)
        command.revision(
            configuration,
            message=_MESSAGE,
            autogenerate=True,
            rev_id=UNRELEASED,
            process_revision_directives=complete,
        )
    return written[0]


def _completed(scripts: list[ops.MigrationScript]) -> None:
    """Add what rows that are there already need; leave out a revision that does nothing."""
    if scripts[0].upgrade_ops is None or scripts[0].upgrade_ops.is_empty():
        scripts.clear()
        return
    for operation in _operations(scripts[0].upgrade_ops):
        if isinstance(operation, ops.AddColumnOp):
            _default_for_present_rows(operation.column)
        elif isinstance(operation, ops.CreateForeignKeyOp) and not operation.constraint_name:
            # SQLite's tables are copied to add one, and only a named one can be.
            columns = "_".join(operation.local_cols)
            operation.constraint_name = f"fk_{operation.source_table}_{columns}"
        elif isinstance(operation, ops.CreateUniqueConstraintOp) and not operation.constraint_name:
            operation.constraint_name = f"uq_{operation.table_name}_{'_'.join(operation.columns)}"


def _operations(container: ops.OpContainer) -> Iterable[ops.MigrateOperation]:
    for operation in container.ops:
        if isinstance(operation, ops.OpContainer):
            yield from _operations(operation)
        else:
            yield operation


def _default_for_present_rows(column: Column[object]) -> None:
    # The tables' defaults are Python's, and rows that are there already were not written by it.
    if column.nullable or column.server_default is not None:
        return
    default = column.default
    if default is None or not default.is_scalar:
        msg = f"the new column {column.name} needs a default in tables.py, or to be nullable: farms have rows"
        raise SystemExit(msg)
    column.server_default = DefaultClause(text(_written(default.arg)))  # type: ignore[attr-defined]


def _written(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    name = _FILE.relative_to(FOLDER)
    sys.stdout.write(f"{name} is written anew\n" if regenerate() else f"nothing differs from {RELEASED}\n")
