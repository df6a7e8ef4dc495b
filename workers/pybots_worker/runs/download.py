"""Talks HTTP: downloads a file and verifies its digest."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from pybots_worker.contract import Ending
from pybots_worker.runs.connect import answer_of
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.reach import Server

ATTEMPTS = 3
BUSY = (408, 429)
"""The server has no time for us: that says nothing about the project."""
MAXIMUM_BYTES = 2_000_000_000


def download(
    address: str,
    target: Path,
    sha256: str,
    *,
    seconds: float,
    servers: frozenset[Server] = frozenset(),
    count: Callable[[int], None] = lambda size: None,
) -> None:
    """Put what is at an address (HTTP, `file:`, or a path) into a file.

    Inside of this machine's network only *servers* are asked. *count* hears of the bytes as they come, and may raise.
    Raises RunEndedError: `worker-unfit` where the server cannot be reached, `fetch-failed` where it does not
    have the file, or has another one, or may not be asked.
    """
    temporary = target.with_name(target.name + ".part")
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        found = _over_http(address, temporary, _Coming(time.monotonic() + seconds, servers, count))
    else:
        found = _from_here(Path(unquote(parts.path) if parts.scheme == "file" else address), temporary)
    if found != sha256:
        temporary.unlink()
        raise RunEndedError(
            Ending.FETCH_FAILED, f"{target.name} has digest {found}, and should have {sha256}"
        )
    temporary.replace(target)


def _from_here(path: Path, target: Path) -> str:
    if not path.is_file():
        raise RunEndedError(Ending.FETCH_FAILED, f"there is no file {path}")
    shutil.copyfile(path, target)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Coming:
    """What holds for every attempt at one download."""

    deadline: float
    servers: frozenset[Server]
    count: Callable[[int], None]


def _over_http(address: str, target: Path, coming: _Coming) -> str:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(address, target, coming)
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500 and error.response.status_code not in BUSY:
                detail = f"{target.stem}: the server answered {error.response.status_code}"
                raise RunEndedError(Ending.FETCH_FAILED, detail) from error
            problem: Exception = error
        except httpx.TransportError as error:
            problem = error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            detail = f"{target.stem} cannot be fetched: {error}"
            raise RunEndedError(Ending.FETCH_FAILED, detail) from error
        if attempt < ATTEMPTS:
            time.sleep(2.0**attempt)
    host = urlsplit(address).hostname
    raise RunEndedError(Ending.UNFIT, f"{host} cannot be reached: {problem}") from problem


def _once(address: str, target: Path, coming: _Coming) -> str:
    digest = hashlib.sha256()
    with answer_of(address, coming.servers) as response, target.open("wb") as file:
        response.raise_for_status()
        size = 0
        for chunk in response.iter_raw(65536):  # servers call a .tar.gz "gzip-encoded"; it is to stay so
            size += len(chunk)
            coming.count(len(chunk))
            if size > MAXIMUM_BYTES:
                detail = f"{target.stem} is larger than {MAXIMUM_BYTES} bytes"
                raise RunEndedError(Ending.FETCH_FAILED, detail)
            digest.update(chunk)
            file.write(chunk)
            if time.monotonic() > coming.deadline:
                msg = "it took too long"
                raise httpx.ReadTimeout(msg)
    return digest.hexdigest()
