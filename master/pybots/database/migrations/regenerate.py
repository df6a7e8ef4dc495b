"""Writes revision 0001 anew from the tables, as long as no farm exists that has it."""

from __future__ import annotations

from pathlib import Path

from alembic import command

from pybots.database.engine import open_engine
from pybots.database.migrate import migration_configuration

FOLDER = Path(__file__).parent
FIRST = FOLDER / "versions" / "revision_0001.py"
_MESSAGE = """All tables.

Until a farm is deployed, a change in tables.py is not a revision of its own; this one is written anew:

    .venv/bin/python -m pybots.database.migrations.regenerate
    .venv/bin/ruff check --fix master/pybots/database/migrations
    .venv/bin/ruff format master/pybots/database/migrations
"""


def regenerate() -> None:
    """Compare the tables with an empty database, and write what is missing in it as revision 0001."""
    FIRST.unlink(missing_ok=True)
    with open_engine("sqlite://").begin() as connection:
        configuration = migration_configuration(str(FOLDER), connection)
        configuration.set_main_option("file_template", "revision_%%(rev)s")
        command.revision(configuration, message=_MESSAGE, autogenerate=True, rev_id="0001")


if __name__ == "__main__":
    regenerate()
