"""Decides what a commit touches, from the paths it changes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath


class Touches(StrEnum):
    """The part of CPython that a commit reaches, the widest of its files'."""

    DOCUMENTATION = "documentation"
    TESTS = "tests"
    LIBRARY = "library"
    NATIVE = "native"
    """C, the build system, or anything not known to be harmless."""


WIDTH = (Touches.DOCUMENTATION, Touches.TESTS, Touches.LIBRARY, Touches.NATIVE)

DOCUMENTATION_FOLDERS = frozenset(
    {"Doc", "InternalDocs", ".github", ".azure-pipelines", ".well-known", ".devcontainer", ".vsts"}
)
# .gitattributes is not among them: it changes what a checkout writes.
DOCUMENTATION_FILES = frozenset(
    {
        ".bzrignore",
        ".cirrus.yml",
        ".codecov.yml",
        ".coveragerc",
        ".editorconfig",
        ".gitignore",
        ".hgignore",
        ".hgtags",
        ".mailmap",
        ".pre-commit-config.yaml",
        ".readthedocs.yml",
        ".ruff.toml",
        ".travis.yml",
    }
)
# The build reads the rest of Misc/ (python.pc.in, python-config.sh.in, platform_triplet.c, stable_abi.toml).
DOCUMENTATION_IN_MISC = frozenset(
    {
        "ACKS",
        "Brewfile",
        "HISTORY",
        "NEWS",
        "NEWS.d",
        "Porting",
        "SpecialBuilds.txt",
        "coverity_model.c",
        "externals.spdx.json",
        "gdbinit",
        "indent.pro",
        "mypy",
        "python.man",
        "rhel7",
        "sbom.spdx.json",
        "svnmap.txt",
        "valgrind-python.supp",
        "vgrindefs",
    }
)
PROSE_SUFFIXES = frozenset({".md", ".rst"})
TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})
# Neither built nor installed, but Lib/test/test_tools and its neighbours run some of them.
TOOLS_BESIDE_THE_BUILD = frozenset(
    {
        "buildbot",
        "c-analyzer",
        "ccbench",
        "check-c-api-docs",
        "clinic",
        "demo",
        "ftscalingbench",
        "gdb",
        "i18n",
        "importbench",
        "iobench",
        "lockbench",
        "patchcheck",
        "picklebench",
        "pixi-packages",
        "pybench",
        "pynche",
        "stringbench",
        "tsan",
        "tz",
        "unittestgui",
    }
)
# Linked into the binary (Tools/build/freeze_modules.py), or read by what generates C during the build.
FROZEN = frozenset(
    {
        "Lib/__hello__.py",
        "Lib/_collections_abc.py",
        "Lib/_sitebuiltins.py",
        "Lib/abc.py",
        "Lib/codecs.py",
        "Lib/genericpath.py",
        "Lib/io.py",
        "Lib/ntpath.py",
        "Lib/opcode.py",
        "Lib/os.py",
        "Lib/posixpath.py",
        "Lib/runpy.py",
        "Lib/site.py",
        "Lib/stat.py",
        "Lib/zipimport.py",
    }
)
FROZEN_FOLDERS = ("Lib/__phello__/", "Lib/importlib/")


def classify(paths: Sequence[str]) -> Touches:
    """Return the widest part that any of *paths* (as git writes them) belongs to.

    The answer holds for every platform, so what only Windows builds is native too. A commit that changes
    nothing (an empty one, a merge of what was there) cannot change a result: documentation.
    """
    return max((_part(path) for path in paths), key=WIDTH.index, default=Touches.DOCUMENTATION)


def needs_compiler(paths: Sequence[str]) -> bool:
    """Say whether installing the changed files is not enough: C, the build system, or a frozen module."""
    return any(_part(path) is Touches.NATIVE or _frozen(path) for path in paths)


def _part(path: str) -> Touches:
    folders = PurePosixPath(path).parts
    if not folders:
        return Touches.NATIVE
    if folders[0] == "Lib" and len(folders) > 1:
        return _part_of_library(folders[1:])
    if _is_documentation(folders):
        return Touches.DOCUMENTATION
    if folders[0] == "Tools":
        return _part_of_tools(folders[1:])
    # `make install` copies it into Lib/, where site.py reads it.
    if folders == ("LICENSE",):
        return Touches.LIBRARY
    return Touches.NATIVE


def _part_of_library(folders: tuple[str, ...]) -> Touches:
    return Touches.TESTS if TEST_FOLDERS.intersection(folders[:-1]) else Touches.LIBRARY


def _is_documentation(folders: tuple[str, ...]) -> bool:
    first, last = folders[0], folders[-1]
    if len(folders) == 1 and first in DOCUMENTATION_FILES:
        return True
    if len(folders) > 1 and (
        first in DOCUMENTATION_FOLDERS or (first == "Misc" and folders[1] in DOCUMENTATION_IN_MISC)
    ):
        return True
    if first == "Objects" and last.endswith(".txt"):
        return True
    return PurePosixPath(last).suffix in PROSE_SUFFIXES or last.startswith("README")


def _part_of_tools(folders: tuple[str, ...]) -> Touches:
    if len(folders) < 2:
        return Touches.NATIVE
    # `make install` copies some of Tools/scripts (2to3, idle3, pydoc3) into bin/.
    if folders[0] == "scripts":
        return Touches.LIBRARY
    return Touches.TESTS if folders[0] in TOOLS_BESIDE_THE_BUILD else Touches.NATIVE


def _frozen(path: str) -> bool:
    return path in FROZEN or (path.startswith(FROZEN_FOLDERS) and path.endswith(".py"))
