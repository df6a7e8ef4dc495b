"""Has an installed interpreter byte-compile its own library: all of it, or what changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pybots_worker
from pybots_worker.interpreters.phases import Commands

SCRIPT = Path(pybots_worker.__file__).with_name("under_test") / "pybots_compile.py"
PREFIX = "/opt/pybots-interpreter"
"""Where every interpreter believes to be installed; nothing is ever there."""
NO_CACHE = "/dev/null/nothing"
"""A folder of .pyc files that can never be there."""
_NOT_COMPILED = re.compile(r"(^|/)(test|tests|idlelib|turtledemo|lib2to3)/|bad_coding|badsyntax")
# Encodings come from their sources, so that it makes no difference whether they have been compiled already.
_OPTIONS = (
    *("-S", "-s", "-B", "-W", "ignore"),
    *("-X", "frozen_modules=on", "-X", f"pycache_prefix={NO_CACHE}"),
)


def compile_library(
    commands: Commands, library: Path, work: Path, changed: Iterable[str] | None = None
) -> None:
    """Byte-compile the files of an installed library that `changed` names (relative to it); without: all.

    It writes its lists to the folder `work`. Raises CommandError where a file cannot be compiled, OSError.
    """
    everything = sorted(path.relative_to(library).as_posix() for path in library.rglob("*.py"))
    lists = [_write(work / "everything", everything)]
    if changed is not None:
        lists.append(_write(work / "changed", sorted(changed)))
    prefix = library.parents[1]
    python, installed_at = str(prefix / "bin" / "python3"), f"{PREFIX}/lib/{library.name}"
    environment = {"PYTHONHASHSEED": "0", "LD_LIBRARY_PATH": str(prefix / "lib")}
    what = [str(library), installed_at, str(processors()), *lists]
    commands.run([python, *_OPTIONS, str(SCRIPT), *what], prefix, environment=environment)


def is_compiled(path: str) -> bool:
    """Say whether a file of the library (relative to it) is byte-compiled."""
    return path.endswith(".py") and not _NOT_COMPILED.search(path)


def processors() -> int:
    """Return how many processors we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(path: Path, names: Iterable[str]) -> str:
    path.write_text("".join(f"{name}\n" for name in names if is_compiled(name)), "utf-8", "surrogateescape")
    return str(path)
