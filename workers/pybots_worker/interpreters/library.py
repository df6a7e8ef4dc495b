"""Decides what an installation makes of each file of Lib/, from what the tree's own Makefile says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

TEST_FOLDERS_KEPT = ("test/support",)
"""Of Lib/test: what projects import. The rest is a third of the installed tree, and most of the time to install it."""
TEST_FILES_KEPT = ("test/__init__.py",)

_NOT_INSTALLED = ("*CVS", "*.py[co]", "*.orig", "*~", ".*")
"""What `make install` leaves out of the folders that it installs; the shell's `*` does not see the last kind."""
_BUILD_FACTS = ("sysconfig/", "sysconfig.py", "_sysconfig.py", "pprint.py", "json/", "_osx_support.py")
"""With these the build writes what it has found out (_sysconfigdata, build-details.json), and not again in place."""
_PIP = ("ensurepip/", "csv.py", "zipfile/", "zipfile.py", "configparser.py", "email/")
"""With these `make install` installs pip, and writes the list of its files."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the Makefile says of Lib/; all paths relative to it, with slashes."""

    folders: frozenset[str]
    """Installed with the files in them (LIBSUBDIRS)."""
    test_folders: frozenset[str]
    """Tests beside those of Lib/test (TESTSUBDIRS), of which we keep none but TEST_FOLDERS_KEPT."""
    tests_kept: bool
    """Whether `make install` installs any tests (TEST_MODULES)."""
    named: frozenset[str]
    """Files that rules name, tests aside: what is frozen into the binary, or generated."""


class Fate(Enum):
    """What a changed file of Lib/ asks for."""

    INSTALLED = "installed"
    LEFT_OUT = "left out"
    IN_PLACE = "in place"
    CLEAN = "clean"


def fate_of(path: str, layout: Layout) -> tuple[Fate, str]:
    """Say what becomes of a file (relative to Lib/), and why where it is not simply installed or left out."""
    if path in layout.named:
        return Fate.IN_PLACE, "the Makefile names it: it is frozen into the binary, or generated"
    if path.startswith(_BUILD_FACTS):
        return Fate.CLEAN, "the build writes what it found out with it"
    if path.startswith(_PIP):
        return Fate.IN_PLACE, "pip is installed with it"
    folder, _, name = path.rpartition("/")
    if not folder:
        return (Fate.INSTALLED if fnmatchcase(name, "[!.]*.py") else Fate.LEFT_OUT), ""
    return _fate_in_folder(path, folder, name, layout)


def _fate_in_folder(path: str, folder: str, name: str, layout: Layout) -> tuple[Fate, str]:
    kept = layout.tests_kept and (path in TEST_FILES_KEPT or folder in TEST_FOLDERS_KEPT)
    if kept or folder in layout.folders:
        left_out = any(fnmatchcase(name, pattern) for pattern in _NOT_INSTALLED)
        return (Fate.LEFT_OUT if left_out else Fate.INSTALLED), ""
    if folder.partition("/")[0] == "test" or folder in layout.test_folders:
        return Fate.LEFT_OUT, ""
    return Fate.IN_PLACE, f"Lib/{folder} is no folder that the Makefile knows"


def read_layout(makefile: str) -> Layout | None:
    """Read a configured Makefile; None where it is not one of CPython's."""
    text = makefile.replace("\\\n", " ")
    variables = dict(re.findall(r"^([A-Z_]+)[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
    if "LIBSUBDIRS" not in variables:
        return None
    return Layout(
        folders=_words("LIBSUBDIRS", variables),
        test_folders=_words("TESTSUBDIRS", variables),
        tests_kept=variables.get("TEST_MODULES", "yes") == "yes",
        named=frozenset(re.findall(r"\bLib/(?!test/)([\w/.+-]*\w)", text)),
    )


def _words(name: str, variables: dict[str, str]) -> frozenset[str]:
    """The words of a variable, with variables in it expanded once."""
    text = re.sub(r"\$[({](\w+)[)}]", lambda found: variables.get(found[1], ""), variables.get(name, ""))
    return frozenset(text.split())
