"""Decides what a commit touches, from the paths it changes."""

from __future__ import annotations

from enum import StrEnum


class Touches(StrEnum):
    """The part of CPython that a commit reaches, the widest of its files'."""

    DOCUMENTATION = "documentation"
    TESTS = "tests"
    LIBRARY = "library"
    NATIVE = "native"
    """C, the build system, or anything not known to be harmless."""
