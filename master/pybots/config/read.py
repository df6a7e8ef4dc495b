"""Reads farm.toml from a farm's folder, and checks what it points at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pybots.config.files import read_bounded, read_toml
from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.config.problems import ConfigurationError, Problem, at
from pybots.config.toml_lines import KeyPath

NAME = "farm.toml"
LARGEST = 1_000_000
LARGEST_PASSWORD = 1_000

__all__ = ["ConfigurationError", "read_farm"]

Finding = tuple[KeyPath, str, str]
"""The key to blame, what is wrong with it, and what to do."""


def read_farm(folder: Path) -> FarmConfiguration:
    """Return what *folder*/farm.toml says; its relative paths start at *folder* (see `FarmFolder`).

    Raises ConfigurationError with every problem that was found.
    """
    file = read_toml(FarmFolder(folder).farm_toml, FarmConfiguration, name=NAME, largest=LARGEST)
    problems = [at(NAME, file.lines, *finding) for finding in findings(file.content, folder)]
    if problems:
        raise ConfigurationError(problems)
    return file.content


def findings(configuration: FarmConfiguration, folder: Path) -> list[Finding]:
    """Return what is wrong with *configuration* beside its shape."""
    return [
        *_ports(configuration),
        *_secrets(configuration),
        *_databases(configuration),
        *_packages(configuration, folder),
        *_passwords(configuration, folder),
    ]


def problems_beside(configuration: FarmConfiguration, folder: Path, name: str) -> list[Problem]:
    """Return `findings` as problems of the file *name*, where no lines are known."""
    return [at(name, {}, *finding) for finding in findings(configuration, folder)]


def _ports(configuration: FarmConfiguration) -> Iterator[Finding]:
    master = configuration.master
    ports: list[tuple[KeyPath, int]] = [
        (("master", "workers_port"), master.workers_port),
        (("master", "operators_port"), master.operators_port),
        (("master", "store_port"), master.store_port),
        (("site", "port"), configuration.site.port),
    ]
    users = defaultdict(list)
    for path, port in ports:
        users[port].append(path)
    for port, paths in users.items():
        if len(paths) > 1:
            names = " and ".join(f"{table}.{key}" for table, key in paths)
            yield paths[-1], f"{names} are both {port}", "give each a port of its own"


def _secrets(configuration: FarmConfiguration) -> Iterator[Finding]:
    """Nothing secret stands in farm.toml, so that it may be shown, copied and committed."""
    addresses: list[tuple[KeyPath, str, str]] = [
        (("trunk", "git"), configuration.trunk.git, "let a git credential helper give it"),
        (("database", "results"), configuration.database.results, "put it into ~/.pgpass"),
        (("database", "buildbot"), configuration.database.buildbot, "put it into ~/.pgpass"),
    ]
    for path, address, remedy in addresses:
        if _has_password(address):
            yield path, f"`{path[-1]}` in [{path[0]}] holds a password", f"leave it out and {remedy}"


def _has_password(address: str) -> bool:
    try:
        return bool(urlsplit(address).password)
    except ValueError:
        return False


def _databases(configuration: FarmConfiguration) -> Iterator[Finding]:
    database = configuration.database
    for key in ("results", "buildbot"):
        address = getattr(database, key)
        if not address.startswith(("sqlite:///", "postgresql")):
            hint = "write sqlite:///FILE or postgresql+psycopg2://USER@HOST/NAME"
            yield ("database", key), f"`{key}` in [database] is not an address of a database", hint
    if database.results == database.buildbot:
        what = "results and Buildbot's own tables are in one database"
        yield ("database", "buildbot"), what, "give each its own; they lock each other out otherwise"


def _packages(configuration: FarmConfiguration, folder: Path) -> Iterator[Finding]:
    packages = configuration.packages
    if packages.offline and not packages.folder:
        yield (
            ("packages", "offline"),
            "offline needs a folder of distributions",
            "add folder = ... to [packages]",
        )
    if packages.folder and not (folder / packages.folder).is_dir():
        where = folder / packages.folder
        yield ("packages", "folder"), f"{where} is not a folder", "make it, or correct the path"


def _passwords(configuration: FarmConfiguration, folder: Path) -> Iterator[Finding]:
    for index, worker in enumerate(configuration.worker):
        problem = _password_problem(folder / worker.password_file)
        if problem:
            what, hint = problem
            yield ("worker", index, "password_file"), f"password file of {worker.name!r}: {what}", hint


def _password_problem(path: Path) -> tuple[str, str] | None:
    try:
        content = read_bounded(path, LARGEST_PASSWORD)
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"{path}: {reason}", "write the worker's password into that file"
    if not content.strip():
        return f"{path} is empty", "write the worker's password into that file"
    if mode & 0o007:
        return f"{path} is open to everyone on this machine", f"chmod o-rwx {path}"
    return None
