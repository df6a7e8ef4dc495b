"""docs/reference has every key of farm.toml and of recipes, no other, and the right defaults."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from pybots.commands.replay.file import ReplayFile
from pybots.config.model import FarmConfiguration
from pybots.config.toml_keys import model_at, tables_of
from pybots.registry.check import (
    COMMAND_PLACEHOLDERS,
    INSTALL_PLACEHOLDERS,
    SERVICE_INSTALL_PLACEHOLDERS,
    findings,
)
from pybots.registry.recipe import Recipe

ROOT = Path(__file__).parents[2]
PAGES = {"farm-toml.md": FarmConfiguration, "recipe.md": Recipe, "replay.md": ReplayFile}
TOP = "Top level"


def documented(page: str) -> dict[str, dict[str, str]]:
    """Table -> key -> what stands in the column of defaults."""
    found: dict[str, dict[str, str]] = {}
    table, of_keys = "", False
    for line in (ROOT / "docs" / "reference" / page).read_text().splitlines():
        if line.startswith("#"):
            table = line.lstrip("# ").strip("`[]")
        elif line.startswith("|") and "default" in line and "key" in line:
            of_keys = True
        elif not line.startswith("|"):
            of_keys = False
        elif of_keys and (row := re.fullmatch(r"\| `(\w+)` \| (.*?) ?\| .+ \|", line)):
            found.setdefault(table, {})[row[1]] = row[2].strip()
    return found


def known(model: type[BaseModel]) -> dict[str, dict[str, str]]:
    return {
        ".".join(map(str, path)) or TOP: {
            name: "required" if field.is_required() else default(field.default)
            for name, field in model_at(model, path).model_fields.items()
        }
        for path, _ in tables_of(model)
    }


def default(value: object) -> str:
    return "" if value is None or isinstance(value, BaseModel) else f"`{json.dumps(value)}`"


@pytest.mark.parametrize("page", PAGES)
def test_every_key_is_there_with_its_default_and_no_other(page: str) -> None:
    assert documented(page) == known(PAGES[page])


def test_every_placeholder_is_there() -> None:
    text = (ROOT / "docs" / "reference" / "recipe.md").read_text()
    for name in {*COMMAND_PLACEHOLDERS, *INSTALL_PLACEHOLDERS, *SERVICE_INSTALL_PLACEHOLDERS}:
        assert f"| `{{{name}}}` |" in text


@pytest.mark.parametrize("path", ["projects/README.md", "docs/reference/farm-toml.md"])
def test_the_examples_are_valid(path: str) -> None:
    example = re.findall(r"^```toml\n(.*?)^```", (ROOT / path).read_text(), re.DOTALL | re.MULTILINE)[0]
    if path.startswith("projects"):
        assert findings(Recipe.model_validate(tomllib.loads(example))) == []
    else:
        assert FarmConfiguration.model_validate(tomllib.loads(example))
