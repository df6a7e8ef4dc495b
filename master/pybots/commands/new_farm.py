"""Makes a farm's folder: all of it, or nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pybots.config.read import read_farm
from pybots.registry.read_shipped import shipped_recipes

CPYTHON = "https://github.com/python/cpython.git"


class FolderTakenError(Exception):
    """There is something already where the farm should be; the message says what."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What `pybots init` was asked for."""

    git: str = CPYTHON
    branches: tuple[str, ...] = ("main",)
    workers: int = 2
    platform: str = "linux-x86_64-glibc"
    with_projects: bool = False

    @property
    def names(self) -> list[str]:
        """The workers' names."""
        return [f"worker{number}" for number in range(1, self.workers + 1)]


def make_farm(folder: Path, choices: Choices) -> None:
    """Make *folder*; it is a farm's folder afterwards, or it is as it was.

    Raises FolderTakenError for a folder that is not empty, ConfigurationError for choices that no farm.toml
    takes, and OSError where the folder cannot be made.
    """
    refuse_taken(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _fill(beside, choices)
        read_farm(beside)
        _put_in_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_taken(folder: Path) -> None:
    """Raise FolderTakenError unless *folder* is missing or empty."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise FolderTakenError(f"{folder} is there already and is not a folder")
    inside = sorted(path.name for path in folder.iterdir())
    if "farm.toml" in inside:
        raise FolderTakenError(f"{folder} is a farm already; look at it with: pybots check {folder}")
    if inside:
        some = ", ".join(inside[:3]) + (", ..." if len(inside) > 3 else "")
        raise FolderTakenError(f"{folder} is not empty ({some}); name a new folder, or empty this one")


def _fill(folder: Path, choices: Choices) -> None:
    folder.chmod(0o755)
    (folder / "farm.toml").write_text(farm_toml(choices), encoding="utf-8")
    (folder / "master").mkdir()
    (folder / "projects").mkdir()
    (folder / "secrets").mkdir(mode=0o700)
    for name in choices.names:
        handle = os.open(folder / "secrets" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    for recipe in shipped_recipes() if choices.with_projects else []:
        shutil.copyfile(recipe, folder / "projects" / recipe.name)


def _put_in_place(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    # An empty folder that somebody stands in (`pybots init .`) must stay the same folder. farm.toml goes
    # last: without it, it is no farm.
    for path in sorted(made.iterdir(), key=lambda path: path.name == "farm.toml"):
        path.rename(folder / path.name)


def farm_toml(choices: Choices) -> str:
    """Return the text of a new farm.toml, with comments that say what one may want to change."""
    workers = "\n".join(_worker(choices, index) for index in range(choices.workers))
    return f"""\
# A Pybots farm. Every key: docs/reference/farm-toml.md. After a change: pybots check, then pybots reconfig.
# Nothing in this file is secret; passwords are in secrets/, one file a worker.

[farm]
name = "Pybots"
# The status page's public address, for links in messages.
url = "http://localhost:8080/"

[trunk]
# Any git repository with CPython's history: an address, or a path on this machine.
git = {_text(choices.git)}
branches = {_text(list(choices.branches))}
# How often new commits are looked for.
poll_seconds = 60
# With more commits than this waiting on a branch, only its newest head is built.
newest_only_beyond = 8

# Named sets of configure options. Each variant is built and tested on each branch and platform.
[variants]
default = []
# debug = ["--with-pydebug"]
# free-threaded = ["--disable-gil"]
# jit = ["--enable-experimental-jit"]    # needs the clang that the commit names in Tools/jit; else "not built here"

[master]
# The name by which workers reach this machine, and the address on which they are answered. For workers on
# other machines: this machine's name, and "0.0.0.0".
host = "127.0.0.1"
listen = "127.0.0.1"
workers_port = 9989
operators_port = 8010
store_port = 8020

[site]
host = "127.0.0.1"
port = 8080

[registry]
# One recipe a project: NAME.toml. New ones are seen without a reconfig. To try one: pybots project try FILE
folder = "projects"

# One table a machine. `slots` is how many things it runs at once. Interpreters are made only by machines that
# you trust to make them, since every other machine runs what they make.
{workers}"""


def _worker(choices: Choices, index: int) -> str:
    name = choices.names[index]
    return f"""\
[[worker]]
name = {_text(name)}
platform = {_text(choices.platform)}
slots = 1
interpreters = {_text(index == 0)}
password_file = {_text(f"secrets/{name}")}
"""


def _text(value: object) -> str:
    # What JSON writes for texts, lists of texts and booleans is TOML too.
    return json.dumps(value, ensure_ascii=False)
