"""Runs revisions on the connection that `pybots.database.migrate` opened; Alembic finds this file by name."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from pybots.database.tables import Base
from pybots.database.types import String, Text, UtcDateTime


def _render(kind: str, item: Any, imports: AutogenContext) -> str | Literal[False]:
    """Write our own types by short names, or as what they are in the database, when a revision is generated."""
    if kind == "type" and isinstance(item, UtcDateTime):
        imports.imports.add("from pybots.database.types import UtcDateTime")
        return "UtcDateTime()"
    if kind == "type" and isinstance(item, Text):
        return "sa.Text()"
    if kind == "type" and isinstance(item, String):
        return f"sa.{item.impl!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_item=_render,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
