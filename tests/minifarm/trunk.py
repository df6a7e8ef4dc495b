"""Makes a miniature trunk: a git repository that `configure && make && make install` turns into a working Python.

Its Python is a copy of the one that runs the tests; what is committed under Lib/ replaces that one's modules, and what
is committed as Modules/NAME.c is compiled and becomes the extension module NAME. Everything is on branch `main`.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

_EPOCH = 1735689600
"""2025-01-01, the date of the first commit; each commit is an hour younger than the one before, or as it says."""
_DAY, _HOUR = 86400, 3600
_SKELETON = Path(__file__).with_name("skeleton")
_EXECUTABLE = {"configure"}


@dataclass(frozen=True, slots=True)
class TrunkCommit:
    """One commit: its message, and the files that it writes (text) or deletes (None)."""

    message: str
    files: Mapping[str, str | None] = field(default_factory=dict)
    author: str = "Ada Example <ada@example.org>"
    days: float | None = None
    """Its date, in days since 2025-01-01; None for an hour after the commit before."""


def breaks(what: str, text: str | None) -> MappingProxyType[str, str | None]:
    """Return the files of a commit that writes (or deletes) one file."""
    return MappingProxyType({what: text})


CONFIGURE_FAILS = breaks("configure", "#!/bin/sh\necho 'checking for a compiler... no'\nexit 77\n")
COMPILE_FAILS = breaks("Modules/_broken.c", "int broken( { return 0 }\n")
INSTALL_FAILS = breaks("Tools/install.py", "raise SystemExit('install: cannot install')\n")
PROVE_FAILS = breaks("Lib/sqlite3/__init__.py", "raise ImportError('no sqlite3 in this commit')\n")


def make_trunk(path: Path, commits: Sequence[TrunkCommit]) -> list[str]:
    """Make the repository at `path`, with these commits on `main`; the first one holds the skeleton, too.

    Returns their shas, oldest first.
    """
    path.mkdir(parents=True)
    _git(path, "init", "--quiet", "--initial-branch=main")
    first, *rest = commits
    files = {**_skeleton_files(), **first.files}
    return add_commits(path, [TrunkCommit(first.message, files, first.author, first.days), *rest])


def add_commits(path: Path, commits: Sequence[TrunkCommit]) -> list[str]:
    """Add commits to `main`; returns their shas, oldest first."""
    before = _git(path, "log", "--first-parent", "--format=%H %ct", "--all").split()
    tip = before[0] if before else ""
    stream, date = [], int(before[1]) if before else _EPOCH - _HOUR
    for commit in commits:
        date = date + _HOUR if commit.days is None else _EPOCH + int(commit.days * _DAY)
        stream.append(_fast_import_text(commit, date, tip))
        tip = ""
    _git(path, "fast-import", "--quiet", stdin="".join(stream))
    _git(path, "reset", "--quiet", "--hard", "main")
    log = _git(
        path, "log", "--first-parent", "--reverse", "--format=%H", f"--max-count={len(commits)}", "main"
    )
    return log.split()


def _skeleton_files() -> dict[str, str]:
    files = {
        file.relative_to(_SKELETON).as_posix(): file.read_text("utf-8")
        for file in sorted(_SKELETON.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    replace = {"@BASE@": str(base), "@EXT_SUFFIX@": str(sysconfig.get_config_var("EXT_SUFFIX"))}
    for old, new in replace.items():
        files = {name: text.replace(old, new) for name, text in files.items()}
    return files


def _fast_import_text(commit: TrunkCommit, date: int, parent: str) -> str:
    who = f"{commit.author} {date} +0000"
    lines = [f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n{_data(commit.message)}"]
    if parent:
        lines.append(f"from {parent}\n")
    for name, text in commit.files.items():
        if text is None:
            lines.append(f"D {name}\n")
        else:
            mode = "100755" if name in _EXECUTABLE else "100644"
            lines.append(f"M {mode} inline {name}\n{_data(text)}")
    return "".join(lines) + "\n"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _git(path: Path, *arguments: str, stdin: str | None = None) -> str:
    command = ["git", "-c", "gc.auto=0", *arguments]
    done = subprocess.run(
        command, cwd=path, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        msg = f"{' '.join(command)}: {done.stderr}"
        raise RuntimeError(msg)
    return done.stdout
