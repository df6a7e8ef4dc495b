from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybots.registry.check import findings
from pybots.registry.recipe import Recipe
from pybots.registry.registry import Registered
from pybots.runs.plan import source_of, specification_for
from pybots_worker.contract import (
    FolderSource,
    GitSource,
    LocalInterpreter,
    Packages,
    PypiSource,
    RunSpecification,
    Source,
)


def recipe(source: dict[str, str], **changes: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "project": {"name": "example", "contacts": ["a@example.org"]},
            "source": source,
            "test": {"command": ["{python}", "{deselect}", "{report}"], "report": "junit"},
            **changes,
        }
    )


def specification(planned: Recipe) -> RunSpecification:
    return specification_for(
        Registered(planned, Path("example.toml"), ""),
        key="k",
        source=PypiSource(name="example"),
        interpreter=LocalInterpreter(path="python3"),
        packages=Packages(),
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"pypi": "a"}, PypiSource(name="a")),
        ({"pypi": "a", "version": "1.0"}, PypiSource(name="a", version="1.0")),
        ({"git": "https://example.org/a", "ref": "v1"}, GitSource(url="https://example.org/a", ref="v1")),
        ({"path": "a"}, FolderSource(path="packed")),
    ],
)
def test_where_the_source_is(source: dict[str, str], expected: Source) -> None:
    folder = FolderSource(path="packed") if "path" in source else None
    assert source_of(recipe(source), folder_archive=folder) == expected


def test_a_folder_that_nobody_hands_out() -> None:
    with pytest.raises(ValueError, match="example: the folder 'a' has to be handed out"):
        source_of(recipe({"path": "a"}), folder_archive=None)


def test_what_the_recipe_says_arrives() -> None:
    planned = recipe(
        {"pypi": "a"},
        install={
            "requirements": ["pytest"],
            "extras": ["e"],
            "groups": ["g"],
            "build_isolation": False,
            "environment": {"A": "install", "B": "install"},
        },
        test={
            "command": ["{python}", "{deselect}", "{report}"],
            "report": "junit",
            "directory": "tests",
            "environment": {"B": "suite"},
        },
        service={"start": ["server"], "ready": ["asked"]},
        limits={"wall_seconds": 60, "quiet_seconds": 5},
        deselect=[
            {"tests": ["t::a", "t::b"], "reason": "It needs a network."},
            {"tests": ["t::c"], "reason": "It needs a network."},
        ],
    )
    assert specification(planned).model_dump(exclude_defaults=True) == {
        "key": "k",
        "project": "example",
        "source": {"name": "example"},
        "interpreter": {"path": "python3"},
        "requirements": ["pytest"],
        "extras": ["e"],
        "groups": ["g"],
        "build_isolation": False,
        "environment": {"A": "install", "B": "suite"},
        "directory": "tests",
        "service": {"start": ["server"], "ready": ["asked"]},
        "command": ["{python}", "{deselect}", "{report}"],
        "report": "junit",
        "deselected": ["t::a", "t::b", "t::c"],
        "limits": {"wall_seconds": 60.0, "quiet_seconds": 5.0},
    }


def test_the_longest_recipe_that_is_read_can_be_run() -> None:
    """A specification that refuses what a recipe may say would stop the planning of all the others."""
    line = "x" * 500
    longest = recipe(
        {"pypi": line},
        install={
            "steps": [["x" * 4000] * 200] * 50,
            "environment": {f"V{number}": "x" * 4000 for number in range(100)},
        },
        service={
            "install": [["x" * 4000] * 200] * 50,
            "start": ["x" * 4000] * 200,
            "ready": ["x"],
            "seconds": 1800,
        },
        test={
            "command": ["{python}", "{deselect}", "{report}"],
            "report": "junit",
            "directory": line,
        },
        deselect=[{"tests": [f"{number}" for number in range(5000)], "reason": "It needs a network."}],
    )
    usual = recipe({"pypi": line}, install={"requirements": [line] * 200, "extras": [line] * 200})
    assert findings(longest) == findings(usual) == []
    assert len(specification(usual).requirements) == 200
    assert len(specification(longest).deselected) == 5000
    assert RunSpecification.model_validate_json(specification(longest).model_dump_json())
