from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from pybots.config.problems import Problem
from pybots.database.engine import Sessions
from pybots.database.tables import Condition, ProjectRow
from pybots.registry.recipe import Recipe
from pybots.registry.registry import Registered, Registry, SetAside
from pybots.registry.store import save_registry

THEN = datetime(2026, 5, 1, tzinfo=UTC)
LATER = datetime(2026, 5, 2, tzinfo=UTC)


def registered(name: str, summary: str = "") -> Registered:
    recipe = Recipe.model_validate(
        {
            "project": {"name": name, "summary": summary, "contacts": ["a@example.org"]},
            "source": {"pypi": name},
            "test": {"command": ["{python}", "{report}"], "report": "junit"},
        }
    )
    return Registered(recipe, Path(f"{name}.toml"), "")


def registry(*good: Registered, bad: tuple[str, ...] = (), problem: str = "") -> Registry:
    asides = (SetAside(name, Path(name), (Problem(f"{name}.toml", 3, "", "is wrong"),)) for name in bad)
    return Registry({item.recipe.project.name: item for item in good}, tuple(asides), problem)


def save(sessions: Sessions, saved: Registry, now: datetime = THEN) -> dict[str, ProjectRow]:
    with sessions.writing() as session:
        save_registry(session, saved, now)
    with sessions.reading() as session:
        return {row.name: row for row in session.scalars(select(ProjectRow))}


def conditions(sessions: Sessions) -> dict[str, tuple[datetime, str]]:
    with sessions.reading() as session:
        return {row.name: (row.since, row.text) for row in session.scalars(select(Condition))}


def test_a_project_is_saved_and_updated_in_place(sessions: Sessions) -> None:
    first = save(sessions, registry(registered("a", "one"), registered("b")))
    second = save(sessions, registry(registered("a", "two"), registered("b")))
    assert (first["a"].summary, second["a"].summary) == ("one", "two")
    assert first["a"].id == second["a"].id
    assert Recipe.model_validate_json(second["a"].recipe) == registered("a", "two").recipe


def test_a_set_aside_one_keeps_its_last_recipe_and_says_why(sessions: Sessions) -> None:
    save(sessions, registry(registered("a", "one")))
    rows = save(sessions, registry(bad=("a", "new")))
    assert rows["a"].registered
    assert rows["a"].problem == "a.toml:3: is wrong"
    assert Recipe.model_validate_json(rows["a"].recipe).project.summary == "one"
    assert (rows["new"].registered, rows["new"].recipe) == (True, "")
    assert save(sessions, registry(registered("a")))["a"].problem == ""


def test_one_that_is_gone_keeps_its_row(sessions: Sessions) -> None:
    save(sessions, registry(registered("a"), registered("b")))
    rows = save(sessions, registry(registered("b")))
    assert [rows[name].registered for name in ("a", "b")] == [False, True]
    assert rows["a"].recipe
    assert save(sessions, registry(registered("a")))["a"].registered


def test_a_folder_that_cannot_be_read_unregisters_nobody(sessions: Sessions) -> None:
    save(sessions, registry(registered("a"), bad=("b",)))
    rows = save(sessions, registry(problem="projects: no"), LATER)
    assert rows["a"].registered
    assert rows["b"].problem
    assert conditions(sessions) == {
        "recipe b": (THEN, "b.toml:3: is wrong"),
        "registry": (LATER, "projects: no"),
    }


def test_conditions_keep_since_when_and_go_when_cured(sessions: Sessions) -> None:
    with sessions.writing() as session:
        session.add(Condition(name="somebody else's", since=THEN, text=""))
    save(sessions, registry(bad=("a",)))
    save(sessions, registry(bad=("a",)), LATER)
    assert conditions(sessions)["recipe a"][0] == THEN
    save(sessions, registry(registered("a")), LATER)
    assert set(conditions(sessions)) == {"somebody else's"}
