"""Talks to the results database about projects: which are registered, and which recipes are set aside."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import Condition, ProjectRow
from pybots.registry.registry import Registered, Registry, SetAside

FOLDER_CONDITION = "registry"
RECIPE_CONDITION = "recipe "
"""Followed by the project's name."""


def save_registry(session: Session, registry: Registry, now: datetime) -> None:
    """Save what *registry* says of every project, and a condition for each recipe that is set aside.

    A project whose recipe is set aside keeps the recipe that was read last; one whose recipe is gone is no
    longer registered, and keeps its history. Where the folder could not be read, no project is touched.
    """
    rows = {row.name: row for row in session.scalars(select(ProjectRow))}
    troubles = {FOLDER_CONDITION: registry.problem} if registry.problem else {}
    if not registry.problem:
        asides = {aside.name[:100]: aside for aside in registry.set_aside}
        for name in {*registry.recipes, *asides} - set(rows):
            rows[name] = ProjectRow(name=name)
            session.add(rows[name])
        for name, row in rows.items():
            _update(row, registry.recipes.get(name), asides.get(name))
        troubles = {RECIPE_CONDITION + name: aside.reason for name, aside in asides.items()}
    _save_conditions(session, troubles, now, keep_recipes=bool(registry.problem))


def _update(row: ProjectRow, registered: Registered | None, aside: SetAside | None) -> None:
    row.registered = registered is not None or aside is not None
    row.problem = aside.reason if aside else ""
    if registered:
        recipe = registered.recipe
        row.summary, row.url = recipe.project.summary, recipe.project.url
        row.recipe = recipe.model_dump_json()


def _save_conditions(
    session: Session, troubles: dict[str, str], now: datetime, *, keep_recipes: bool
) -> None:
    for row in session.scalars(select(Condition)):
        ours = row.name == FOLDER_CONDITION or (row.name.startswith(RECIPE_CONDITION) and not keep_recipes)
        if row.name in troubles:
            row.text = troubles.pop(row.name)
        elif ours:
            session.delete(row)
    session.add_all(Condition(name=name, since=now, text=text) for name, text in troubles.items())
