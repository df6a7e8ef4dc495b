"""Configures, compiles and stages CPython with its own configure and make."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pybots_worker.interpreters import byte_compile, hide, library
from pybots_worker.interpreters.byte_compile import NO_CACHE, PREFIX, compile_library, processors
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.hide import hide_tree
from pybots_worker.interpreters.library import TEST_FILES_KEPT, TEST_FOLDERS_KEPT, Layout, read_layout
from pybots_worker.interpreters.phases import CommandError, Commands

CONFIGURE = (f"--prefix={PREFIX}", "--with-ensurepip=install", "--without-static-libpython")
"""Static libraries are 70 MB that only programs which embed Python use."""
_SEED = {"PYTHONHASHSEED": "0"}
# What is frozen into the binary must not depend on whether the modules that do so have been compiled before.
_UNCACHED = {**_SEED, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": NO_CACHE}


def method() -> str:
    """Return the digest of the code that decides what an installed tree looks like."""
    files = [
        *map(Path, (__file__, byte_compile.__file__, hide.__file__, library.__file__)),
        byte_compile.SCRIPT,
    ]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def configure(commands: Commands, source: Path, arguments: Sequence[str]) -> None:
    """Run ./configure. Raises CommandError."""
    commands.run(["./configure", *arguments], source)


def compile_all(commands: Commands, source: Path) -> None:
    """Run make. Raises CommandError."""
    commands.run([*_make(source), f"-j{processors()}"], source, environment=_UNCACHED)


def install(commands: Commands, source: Path, staging: Path, work: Path) -> Path:
    """Run make install into an empty `staging`; returns the installed prefix there.

    `work` is a folder for what is in the way elsewhere. Raises CommandError.
    """
    remove_tree(staging)
    # `compileall --help` compiles nothing: that is done below, in a form that never changes.
    fast = ["COMPILEALL_OPTS=--help", f"TESTSUBDIRS={' '.join(TEST_FOLDERS_KEPT)}"]
    commands.run([*_make(source), "install", f"DESTDIR={staging}", *fast], source, environment=_SEED)
    prefix = installed_prefix(staging)
    standard = find_library(prefix)
    _keep_test_support(source, standard)
    for folder in sorted(prefix.rglob("__pycache__")):
        shutil.rmtree(folder)
    _remove_empty_folders(prefix)
    hide_tree(commands, prefix, source)
    compile_library(commands, standard, work)
    return prefix


def installed_prefix(staging: Path) -> Path:
    """Return where in `staging` the interpreter is."""
    return staging / PREFIX.lstrip("/")


def find_library(prefix: Path) -> Path:
    """Return the folder of the installed standard library. Raises CommandError where there is none."""
    found = sorted(path.parent for path in prefix.glob("lib/python3.*/os.py"))
    if len(found) != 1 or not (prefix / "bin" / "python3").exists():
        msg = f"make install left no bin/python3, or no standard library, in {prefix}"
        raise CommandError(msg)
    return found[0]


def find_layout(source: Path) -> Layout | None:
    """Return what the Makefile of a configured tree says of Lib/; None where there is none that we understand."""
    try:
        return read_layout((source / "Makefile").read_text("utf-8", "surrogateescape"))
    except OSError:
        return None


def _make(source: Path) -> list[str]:
    """Make without the facts that would make two builds of the same source differ."""
    return [
        "make",
        *("GITVERSION=", "GITTAG=", "GITBRANCH="),
        f"CFLAGS_NODIST=-ffile-prefix-map={source}=.",
    ]


def _keep_test_support(source: Path, standard: Path) -> None:
    tests = standard / "test"
    if not tests.is_dir():
        return
    kept = {path.split("/")[1] for path in (*TEST_FILES_KEPT, *TEST_FOLDERS_KEPT)}
    for path in tests.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in TEST_FILES_KEPT:
        if (source / "Lib" / name).is_file():
            shutil.copyfile(source / "Lib" / name, standard / name)


def _remove_empty_folders(prefix: Path) -> None:
    """What was deleted in a commit may have left a folder in the source, which make then installs."""
    for folder, _folders, _files in os.walk(prefix, topdown=False):
        if not os.listdir(folder):  # noqa: PTH208
            Path(folder).rmdir()
