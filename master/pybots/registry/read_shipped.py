"""Finds the recipes that come with Pybots."""

from __future__ import annotations

from pathlib import Path


def shipped_recipes() -> list[Path]:
    """Return their files, sorted; they are beside this module once installed, and in projects/ of a checkout."""
    here = Path(__file__).parent
    for folder in (here / "recipes", here.parents[2] / "projects"):
        files = sorted(folder.glob("*.toml"))
        if files:
            return files
    return []
