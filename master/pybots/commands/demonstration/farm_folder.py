"""Talks to the file system about the demonstration's farm: configuration, ports, passwords, recipes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pybots.config.files import write_atomically
from pybots.registry.read_shipped import shipped_recipes

VARIANTS: Mapping[str, Sequence[str]] = {
    "default": (),
    "debug": ("--with-pydebug",),
    "free-threaded": ("--disable-gil",),
    "jit": ("--enable-experimental-jit",),
}
WORKERS = ("one", "two")
PORT_NAMES = ("workers_port", "operators_port", "store_port", "site")
PREFERRED = {"workers_port": 9989, "operators_port": 8010, "store_port": 8020, "site": 8080}
HOST = "127.0.0.1"


class FolderError(Exception):
    """The demonstration's folder cannot serve; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the farm listens, on this machine only."""

    workers: int
    operators: int
    store: int
    site: int

    @property
    def site_url(self) -> str:
        """The status page."""
        return f"http://{HOST}:{self.site}/"

    @property
    def operators_url(self) -> str:
        """Buildbot's own pages."""
        return f"http://{HOST}:{self.operators}/"


def choose_ports(before: Mapping[str, int], *, anywhere: bool = False) -> Ports:
    """The ports of an earlier time where they are free; else the usual ones, else any that are free.

    With *anywhere* the usual ones are not tried: several farms may start at the same time.
    """
    usual = {} if anywhere else PREFERRED
    with ExitStack() as stack:
        numbers = []
        for name in PORT_NAMES:
            listening = stack.enter_context(_listen((before.get(name, 0), usual.get(name, 0), 0)))
            numbers.append(listening.getsockname()[1])
    return Ports(*numbers)


def _listen(wishes: Sequence[int]) -> socket.socket:
    """A socket on the first of *wishes* that is free; 0 at the end takes whatever is."""
    for port in wishes[:-1]:
        if port and (taken := _bound(port)):
            return taken
    free = _bound(0)
    if free is None:
        raise FolderError("no port on this machine is free")
    return free


def _bound(port: int) -> socket.socket | None:
    candidate = socket.socket()
    try:
        # As the servers do it: a port whose last connections are still being wound up is free.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        candidate.bind((HOST, port))
        candidate.listen(1)
    except OSError:
        candidate.close()
        return None
    return candidate


def ports_before(folder: Path) -> dict[str, int]:
    """The ports that the folder's farm.toml names; nothing when there is none, or it cannot be read."""
    try:
        known = tomllib.loads((folder / "farm.toml").read_text())
        site = {"site": int(known["site"]["port"])}
        return site | {name: int(known["master"][name]) for name in PORT_NAMES[:-1]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_farm(
    folder: Path, *, git: str, branch: str, variants: Sequence[str], platform: str, ports: Ports
) -> None:
    """Write farm.toml and the workers' passwords, for a farm of two workers that follows *git*."""
    for worker in WORKERS:
        write_password(folder / "passwords" / worker)
    text = farm_toml(git=git, branch=branch, variants=variants, platform=platform, ports=ports)
    if not (folder / "farm.toml").is_file() or (folder / "farm.toml").read_text() != text:
        write_atomically(folder / "farm.toml", text.encode())


def farm_toml(*, git: str, branch: str, variants: Sequence[str], platform: str, ports: Ports) -> str:
    """The text of the demonstration's farm.toml."""
    variant_lines = [f"{_text(name)} = {_text(list(VARIANTS[name]))}" for name in variants]
    lines = [
        "# Written by `pybots demo`; it is written again every time.",
        "[farm]",
        'name = "Pybots demonstration"',
        f"url = {_text(ports.site_url)}",
        "[trunk]",
        f"git = {_text(git)}",
        f"branches = [{_text(branch)}]",
        "poll_seconds = 10.0",
        "first_commits = 1",
        "[variants]",
        *variant_lines,
        "[master]",
        f"host = {_text(HOST)}",
        f"workers_port = {ports.workers}",
        f"operators_port = {ports.operators}",
        f"store_port = {ports.store}",
        "[site]",
        f"host = {_text(HOST)}",
        f"port = {ports.site}",
    ]
    for worker in WORKERS:
        lines += [
            "[[worker]]",
            f"name = {_text(worker)}",
            f"platform = {_text(platform)}",
            'owner = "this machine"',
            # One compiler at a time on two cores; the other worker tests what is made already.
            f"interpreters = {_text(worker == WORKERS[0])}",
            f"password_file = {_text(f'passwords/{worker}')}",
        ]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_password(path: Path) -> None:
    """Have a password in the file at *path*; one that is there stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size:
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")


def recipes_for(names: Sequence[str]) -> list[Path]:
    """The files of the recipes *names*; all that come with Pybots when there are none.

    Raises FolderError for a name that there is no recipe of.
    """
    shipped = {file.stem: file for file in shipped_recipes()}
    if not shipped:
        raise FolderError("no recipes came with this Pybots; install it again, or run it from a checkout")
    if unknown := [name for name in names if name not in shipped]:
        raise FolderError(f"no recipe is called {unknown[0]!r}; there are {', '.join(shipped)}")
    return [shipped[name] for name in dict.fromkeys(names or shipped)]


def copy_recipes(folder: Path, recipes: Sequence[Path]) -> None:
    """Make *recipes* the ones that the farm has."""
    place = folder / "projects"
    place.mkdir(parents=True, exist_ok=True)
    for old in set(place.glob("*.toml")) - {place / recipe.name for recipe in recipes}:
        old.unlink()
    for recipe in recipes:
        shutil.copyfile(recipe, place / recipe.name)
