"""What is made by replacing files of the library is, byte for byte, what a clean build of the same commit is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from pybots_worker.contract import InterpreterResult

sys.path.insert(0, str(Path(__file__).parents[1] / "minifarm"))

from workshop import EVERYTHING, IN_PLACE, REPLACED, Workshop, phases

PACKAGE = {
    "Lib/minipack/__init__.py": "NAMES = ('os', 'path', 'minipack', 1.5, b'x')\n",
    "Lib/minipack/old.py": "def old(names=('os', 'path')): return frozenset({1, 'path', names})\n",
    "Lib/minipack/deep/inner.txt": "Data.\n",
    "Lib/minifile.py": "VALUE = ('a', 'b')\n",
    "Lib/_minifrozen.py": "FROZEN = 1\n",
}


def digest(result: InterpreterResult) -> str:
    assert result.status == "proven", (result.detail, result.log_tail)
    assert result.artifact is not None
    return result.artifact.digest


USES_MINIFILE = """
#include <Python.h>
static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "_add", NULL, 0, NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__add(void) {
    PyObject *other = PyImport_ImportModule("minifile");
    if (!other) return NULL;
    Py_DECREF(other);
    return PyModule_Create(&d);
}
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One tree for all of these tests, which build upon each other's commits."""
    made = Workshop(tmp_path_factory.mktemp("replace"))
    made.commit({**PACKAGE, "Modules/_add.c": USES_MINIFILE})
    assert phases(made.build()) == EVERYTHING
    return made


def test_what_the_makefile_names_and_unknown_folders_are_made_by_make(workshop: Workshop) -> None:
    workshop.commit({"Lib/_minifrozen.py": "FROZEN = 2\n", "Lib/unknown/__init__.py": "VALUE = 3\n"})
    result = workshop.build()
    assert phases(result) == IN_PLACE
    code = (
        "import os, unknown; print(open(os.path.dirname(os.__file__) + '/frozen.txt').read(), unknown.VALUE)"
    )
    assert workshop.run(result, code) == "FROZEN = 2\n 3"


def test_files_are_replaced_added_removed_and_renamed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = next((workshop.tree() / "staging").rglob("minifile.py"))
    linked = workshop.folder / "somebody-else's"
    os.link(library, linked)
    workshop.commit(
        {
            "Lib/minifile.py": "VALUE = ('b', 'a', 'os')\n",
            "Lib/mininew.py": "import minipack\n",
            "Lib/minipack/old.py": None,
            "Lib/minipack/new.py": "def new(names=('os', 'path')): return frozenset({1, 'path', names})\n",
            "Lib/minipack/deep/inner.txt": None,
            "Lib/minipack/new.py.orig": "rubbish\n",
            "Lib/notes.txt": "Not installed.\n",
            "Doc/index.rst": "Nothing that is installed.\n",
        }
    )
    with monkeypatch.context() as patch:
        forbid_compilers(workshop, patch)
        result = workshop.build()
    assert (phases(result), result.clean_build, result.fell_back) == (REPLACED, False, False)
    assert linked.read_text() == PACKAGE["Lib/minifile.py"], "who has a link to it sees no change"
    code = "import minifile, minipack.new, importlib.util as u; print(minifile.VALUE, u.find_spec('minipack.old'))"
    assert workshop.run(result, code) == "('b', 'a', 'os') None"
    other = Workshop(workshop.folder / "another", workshop.head)
    clean = other.build(git=str(workshop.trunk))
    assert phases(clean) == EVERYTHING
    assert digest(clean) == digest(result), "after a build in place and one that replaced"


def forbid_compilers(workshop: Workshop, patch: pytest.MonkeyPatch) -> None:
    """Have make and every compiler fail."""
    programs = workshop.folder / "programs"
    programs.mkdir()
    for name in ("make", "cc", "gcc", "clang", "c++", "g++"):
        (programs / name).write_text("#!/bin/sh\nexit 99\n")
        (programs / name).chmod(0o755)
    built = json.loads((workshop.tree() / "built.json").read_text())
    patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    patch.setattr(
        "pybots_worker.interpreters.toolchain._version", lambda _environment: built["wanted"]["compiler"]
    )


def test_what_somebody_wrote_into_is_installed_again(workshop: Workshop) -> None:
    path = next((workshop.tree() / "staging").rglob("colorsys.py"))
    path.write_text("changed = True\n")
    workshop.commit({"Lib/minifile.py": "VALUE = 4\n"})
    assert phases(workshop.build()) == IN_PLACE
    assert "changed = True" not in path.read_text()


def test_an_extension_that_no_longer_imports_is_not_proven(workshop: Workshop) -> None:
    """The build of a real one would set that extension aside: only a clean one shows what becomes of it."""
    workshop.commit({"Lib/minifile.py": "raise ImportError('not any more')\n"})
    result = workshop.build()
    assert phases(result)[:5] == ["fetch", "replace", "pack", "prove!", "configure"]
    assert result.fell_back
