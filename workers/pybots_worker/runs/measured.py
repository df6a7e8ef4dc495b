"""Measures what a failed step complains of: is this machine's disk full, and does the network as such not answer?"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

from pybots_worker.contract import ArchiveSource, GitSource, StoredInterpreter
from pybots_worker.processes import Finished
from pybots_worker.runs.explain import Explanation, Trouble
from pybots_worker.runs.place import Place
from pybots_worker.runs.reach import Server, is_public, server_of, servers_in
from pybots_worker.runs.scratch import scratch_of
from pybots_worker.runs.sound import FREE_BYTES_DURING, FULL

TRY_BYTES = 4_000_000
TRY_SECONDS = 5.0
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_HOST = re.compile(r"(?:git\+)?(?:https?|ssh|git)://(?:[^\s/@]*@)?([A-Za-z0-9][A-Za-z0-9.-]*)")
_SSH = re.compile(r"^[\w.-]+@([A-Za-z0-9][A-Za-z0-9.-]*):")


def as_measured(place: Place, finished: Finished, explanation: Explanation) -> Explanation:
    """Return what went wrong, after a look at this machine: what a program prints of a disk or a network may be wrong.

    A full disk is this machine's where there is no room in the folders of the run; a host that does not answer is the
    network's trouble, unless it is a host that the recipe or the lock names while everything else can be reached.
    """
    free = finished.free_bytes
    if free is not None and free < FREE_BYTES_DURING:
        return replace(explanation, trouble=Trouble.DISK)
    if explanation.trouble is Trouble.DISK and no_room_in(place) is None:
        return replace(explanation, trouble=Trouble.BUILD if explanation.package else Trouble.OTHER)
    if explanation.trouble is Trouble.NETWORK:
        host = only_this_host(place, explanation.reason)
        if host:
            reason = f"{host} cannot be reached, and everything else can: {explanation.reason}"
            return replace(explanation, trouble=Trouble.RESOLVE, reason=reason)
    return explanation


def no_room_in(place: Place) -> Path | None:
    """The first folder that a run needs in which nothing can be written for want of room."""
    return next(filter(is_full, _folders(place)), None)


def is_full(folder: Path) -> bool:
    """Whether a file of some size cannot be written there for want of room."""
    path = folder / f".try-{secrets.token_hex(8)}"
    try:
        with path.open("xb", buffering=0) as file:
            left = TRY_BYTES
            while left > 0:
                left -= file.write(bytes(min(left, 1 << 20)))
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in FULL
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return False


def only_this_host(place: Place, said: str) -> str:
    """Return the host of the recipe's own that *said* complains of, where index and master do answer; else nothing."""
    index, master = _index(place), _master(place)
    known = {host for host, _ in index | master}
    complained = [host for host in sorted(_named(place)) if host not in known and host in said.lower()]
    if not complained:
        return ""
    # A master in this network answers also when the way out of it is cut.
    beside = index or {
        server for server in master if place.specification.packages.offline or _is_outside(server)
    }
    return complained[0] if beside and all(map(answers, beside | master)) else ""


def answers(server: Server) -> bool:
    """Whether a connection to a server, or to the proxy that leads there, can be made."""
    try:
        socket.create_connection(_by_way_of(server), TRY_SECONDS).close()
    except (OSError, UnicodeError):
        return False
    return True


def _folders(place: Place) -> list[Path]:
    found = [place.ours, place.cache]
    with contextlib.suppress(OSError):
        found.append(scratch_of(place.folder))
    return found


def _index(place: Place) -> frozenset[Server]:
    """The package indexes that are named here; there is none for uv's own."""
    if place.specification.packages.offline:
        return frozenset()
    environment = place.install_environment(place.work / "uv")
    return servers_in(environment.get(name, "") for name in _INDEXES)


def _master(place: Place) -> frozenset[Server]:
    """The master, where this run has to do with it."""
    interpreter, source = place.specification.interpreter, place.specification.source
    named = [interpreter.url] if isinstance(interpreter, StoredInterpreter) else []
    named += [source.url] if isinstance(source, ArchiveSource) else []
    return servers_in(named)


def _is_outside(server: Server) -> bool:
    try:
        found = socket.getaddrinfo(*server, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_public(str(address[0])) for *_, address in found)


def _named(place: Place) -> set[str]:
    """The hosts that the recipe names, or the lock."""
    specification = place.specification
    lock = specification.lock
    texts: list[str] = [*specification.requirements]
    texts += [text for step in specification.install or [] for text in step]
    texts += [lock.requirements, lock.build_constraints] if lock else []
    found = set()
    if isinstance(specification.source, GitSource):
        texts.append(specification.source.url)
        found |= {match[1].lower() for match in _SSH.finditer(specification.source.url)}
    return found | _hosts(texts)


def _hosts(texts: Iterable[str]) -> set[str]:
    return {match[1].lower() for text in texts for match in _HOST.finditer(text)}


def _by_way_of(server: Server) -> Server:
    host, port = server
    proxies = getproxies()
    proxy = proxies.get("https" if port == 443 else "http") or proxies.get("all")
    if not proxy or proxy_bypass(f"{host}:{port}"):
        return server
    return server_of(proxy if "://" in proxy else f"http://{proxy}") or server
