"""The recipes that this repository ships: `projects/*.toml`."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pybots.registry.read import read_recipe, read_registry
from pybots.registry.recipe import Recipe
from pybots_worker.contract import ReportFormat

PROJECTS = Path(__file__).resolve().parents[2] / "projects"
FILES = sorted(PROJECTS.glob("*.toml"))
PINS = ("==", "===")


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(request.param).recipe


def test_none_is_set_aside() -> None:
    registry = read_registry(PROJECTS)
    assert registry.problems() == []
    assert set(registry.recipes) == {file.stem for file in FILES}


def test_the_demonstration_has_its_five_projects_and_three_kinds_of_report() -> None:
    registered = read_registry(PROJECTS).recipes
    assert set(registered) >= {"attrs", "click", "django", "markupsafe", "twisted"}
    reports = {item.recipe.test.report for item in registered.values()}
    assert reports >= {ReportFormat.JUNIT, ReportFormat.SUBUNIT, ReportFormat.DJANGO}


def test_nobody_is_written_to(recipe: Recipe) -> None:
    """The demonstration runs on anybody's machine: no contact in it may be a real address."""
    assert [contact for contact in recipe.project.contacts if not contact.endswith(".example")] == []


def test_a_new_release_does_not_change_the_demonstration(recipe: Recipe) -> None:
    assert recipe.source.version
    requirements = [Requirement(line) for line in recipe.install.requirements]
    loose = [str(item) for item in requirements if not any(pin.operator in PINS for pin in item.specifier)]
    assert loose == []


def test_what_is_deselected_are_single_tests_with_a_reason_in_words(recipe: Recipe) -> None:
    for group in recipe.deselect:
        assert len(group.reason.split()) > 5
        assert all(test.count(".") >= 2 or "::" in test for test in group.tests)


def test_markupsafe_does_not_install_without_its_extension() -> None:
    """Its setup.py falls back to Python code, and its suite passes on that; only this variable makes it fail."""
    recipe = read_recipe(PROJECTS / "markupsafe.toml").recipe
    assert recipe.install.environment["CIBUILDWHEEL"] == "1"
