"""Replaces changed files of the library in an installed interpreter, without make and without a compiler."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Sequence
from pathlib import Path

from pybots_worker.interpreters.byte_compile import compile_library
from pybots_worker.interpreters.hide import hide_source, write_anew
from pybots_worker.interpreters.phases import CommandError, Commands
from pybots_worker.interpreters.plan import Changed


def replace_files(
    commands: Commands, source: Path, library: Path, files: Sequence[Changed], work: Path
) -> None:
    """Make these files (relative to `source`/Lib and to `library`) what `make install` would make of them.

    Every file is a new one, and the old one stays as it was for who has a hard link to it. `work` is a folder for
    what is in the way elsewhere. Raises CommandError, OSError.
    """
    for file in files:
        commands.say(f"{'install' if file.mode else 'remove'} {file.path}")
        _remove_compiled(library / file.path)
        if file.mode:
            _install(source, library, file)
        else:
            _remove(library / file.path, library)
    changed = [file.path for file in files if file.mode]
    # Sources that say another encoding are read with one of these.
    encodings = any(path.startswith("encodings/") for path in changed)
    compile_library(commands, library, work, None if encodings else changed)


def _install(source: Path, library: Path, file: Changed) -> None:
    target = library / file.path
    if target.is_dir():
        msg = f"{target} is a folder, where a file has to be installed"
        raise CommandError(msg)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = (source / "Lib" / file.path).read_bytes()
    write_anew(target, hide_source(content, source), int(file.mode[-3:], 8))


def _remove(target: Path, library: Path) -> None:
    """Remove a file, and the folders that are empty without it."""
    target.unlink(missing_ok=True)
    for folder in (target.parent / "__pycache__", target.parent, *target.parent.parents):
        if folder == library:
            return
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_compiled(target: Path) -> None:
    if target.suffix == ".py":
        for compiled in target.parent.glob(f"__pycache__/{glob.escape(target.stem)}.*.pyc"):
            compiled.unlink()
