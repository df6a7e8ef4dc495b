"""Configures, compiles and stages CPython with its own configure and make."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.phases import CommandError, Commands

PREFIX = "/opt/pybots-interpreter"
"""Where every interpreter believes to be installed; nothing is ever there."""
SOURCE = "/pybots/source"
"""Where every interpreter says that it was built: the same for every worker and every tree."""
CONFIGURE = (f"--prefix={PREFIX}", "--with-ensurepip=install", "--without-static-libpython")
"""Static libraries are 70 MB that only programs which embed Python use."""
_TESTS_KEPT = ("__init__.py", "support")
"""Of Lib/test: what projects import. The rest is a third of the installed tree, and most of the time to install it."""
_NOT_COMPILED = r"[/\\](test|tests|idlelib|turtledemo|lib2to3|site-packages)[/\\]|bad_coding|badsyntax"


def configure(commands: Commands, source: Path, arguments: Sequence[str]) -> None:
    """Run ./configure. Raises CommandError."""
    commands.run(["./configure", *arguments], source)


def compile_all(commands: Commands, source: Path) -> None:
    """Run make. Raises CommandError."""
    commands.run([*_make(source), f"-j{_processors()}"], source)


def install(commands: Commands, source: Path, staging: Path) -> Path:
    """Run make install into an empty `staging`; returns the installed prefix there. Raises CommandError."""
    remove_tree(staging)
    # `compileall --help` compiles nothing: that is done below, in an order and a form that never change.
    fast = ["COMPILEALL_OPTS=--help", "TESTSUBDIRS=test/support"]
    commands.run([*_make(source), "install", f"DESTDIR={staging}", *fast], source)
    prefix = staging / PREFIX.lstrip("/")
    library = _library(prefix)
    _keep_test_support(source, library)
    for folder in sorted(prefix.rglob("__pycache__")):
        shutil.rmtree(folder)
    hide_tree(commands, prefix, source)
    _compile_library(commands, prefix, library)
    return prefix


def hide_tree(commands: Commands, prefix: Path, source: Path) -> None:
    """Have no installed text name the tree, which is another one on each worker; what else names it is logged.

    Only before the byte-compiling: it writes sources. Raises OSError.
    """
    tree, wanted = os.fsencode(source), SOURCE.encode()
    for path in sorted(path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()):
        content = path.read_bytes()
        if tree not in content:
            continue
        if b"\0" in content:
            commands.say(f"{path.relative_to(prefix)} names {source}: its digest differs from tree to tree.")
        else:
            _write(path, content.replace(tree, wanted))


def _write(path: Path, content: bytes) -> None:
    """Write what may be read-only, as libraries are; its mode stays."""
    mode = path.stat().st_mode
    path.chmod(mode | stat.S_IWUSR)
    path.write_bytes(content)
    path.chmod(mode)


def _make(source: Path) -> list[str]:
    """Make without the facts that would make two builds of the same source differ."""
    return [
        "make",
        *("GITVERSION=", "GITTAG=", "GITBRANCH="),
        f"CFLAGS_NODIST=-ffile-prefix-map={source}=.",
    ]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _library(prefix: Path) -> Path:
    found = sorted(path.parent for path in prefix.glob("lib/python3.*/os.py"))
    if len(found) != 1 or not (prefix / "bin" / "python3").exists():
        msg = f"make install left no bin/python3, or no standard library, in {prefix}"
        raise CommandError(msg)
    return found[0]


def _keep_test_support(source: Path, library: Path) -> None:
    tests = library / "test"
    if not tests.is_dir():
        return
    for path in tests.iterdir():
        if path.name not in _TESTS_KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    package = source / "Lib" / "test" / "__init__.py"
    if package.is_file():
        shutil.copyfile(package, tests / "__init__.py")


def _compile_library(commands: Commands, prefix: Path, library: Path) -> None:
    """Byte-compile in one process: with two, marshal's references differ between builds."""
    installed_at = f"{PREFIX}/lib/{library.name}"
    how = ["--invalidation-mode", "unchecked-hash", "-d", installed_at, "-x", _NOT_COMPILED]
    python = str(prefix / "bin" / "python3")
    libraries = {"PYTHONHASHSEED": "0", "LD_LIBRARY_PATH": str(prefix / "lib")}
    commands.run(
        [python, "-E", "-s", "-m", "compileall", "-q", "-f", *how, str(library)],
        prefix,
        environment=libraries,
    )
