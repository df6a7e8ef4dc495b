"""Describes recipes and farm.toml as JSON Schema, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pybots.config.model import FarmConfiguration
from pybots.registry.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe."""
    return _schema(Recipe, "A Pybots recipe")


def farm_schema() -> dict[str, Any]:
    """Return the JSON Schema of farm.toml."""
    return _schema(FarmConfiguration, "A Pybots farm.toml")


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
        "title": title,
    }
