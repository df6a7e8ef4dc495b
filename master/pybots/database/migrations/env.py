"""Runs revisions on the connection that `pybots.database.migrate` opened; Alembic finds this file by name."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from pybots.database.tables import Base
from pybots.database.types import UtcDateTime


def _render(kind: str, item: Any, imports: AutogenContext) -> str | Literal[False]:
    """Write our own type by its short name when a revision is generated."""
    if kind == "type" and isinstance(item, UtcDateTime):
        imports.imports.add("from pybots.database.types import UtcDateTime")
        return "UtcDateTime()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_item=_render,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
