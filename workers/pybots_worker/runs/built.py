"""The store of wheels that one interpreter built on this machine: by what went into them, and bounded."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import finish_removals, remove_tree
from pybots_worker.processes import stop_if_alone
from pybots_worker.runs.locked import File
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.plain import open_plain

KEPT = 20
"""How many interpreters' wheels stay, besides those in use."""
MAXIMUM_BYTES = 2_000_000_000
"""Of one interpreter's wheels."""
MAXIMUM_WHEEL_BYTES = 1_000_000_000
_NAME_CHARACTERS = 32
"""Of digests in paths: a path that is too long breaks the first line of scripts."""
_DESCRIPTION = "wheel.json"
_POLL_SECONDS = 0.1


@contextlib.contextmanager
def built_wheels(cache: Path, identity: str, *, seconds: float, kept: int = KEPT) -> Iterator[BuiltWheels]:
    """Hold the wheels of one build of an interpreter, and remove those least recently used beyond `kept`.

    Those of another interpreter of the same version are no use: its extensions may be built differently, or not at all.
    """
    folder = cache / "built"
    folder.mkdir(parents=True, exist_ok=True)
    name = identity[:_NAME_CHARACTERS]
    with _lock_path(folder / name).open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # whoever removes it holds it for no longer than that takes
        os.utime(lock.fileno())
        (folder / name).mkdir(exist_ok=True)
        _remove_others(folder, name, kept)
        yield BuiltWheels(folder / name, seconds=seconds)


class BuiltWheels:
    """`FOLDER/KEY/NAME.whl`, and beside it what it was when it was put there."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self.folder = folder
        self._seconds = seconds

    @contextlib.contextmanager
    def alone(self, key: str) -> Iterator[Path]:
        """Hold a key alone, so that it is built once; the folder given is for building it, the same one every time.

        Raises RunEndedError(`worker-unfit`) where another process holds it for too long.
        """
        place = self._place(key)
        with _lock_path(place).open("a", encoding="utf-8") as lock:
            self._wait(lock.fileno())
            building = place.with_name(f"{place.name}.building")
            remove_tree(building)
            try:
                yield building
            finally:
                remove_tree(building)

    def take(self, key: str, folder: Path) -> File | None:
        """Copy a wheel into a folder, verified; None where it is not there."""
        place = self._place(key)
        try:
            described = json.loads((place / _DESCRIPTION).read_text())
            file = File(described["name"], described["sha256"])
            with (place / file.name).open("rb") as source:
                found = _copy(source.fileno(), folder / file.name)
            os.utime(place)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return file if found == file.sha256 else None

    def keep(self, key: str, folder: Path, name: str) -> None:
        """Put a wheel that was built into the store. Raises OSError, also where it is no plain file."""
        part = self.folder / f".part-{secrets.token_hex(8)}"
        part.mkdir()
        try:
            opened = open_plain(folder, name)
            with contextlib.closing(os.fdopen(opened, "rb")):
                sha256 = _copy(opened, part / name)
            (part / _DESCRIPTION).write_text(json.dumps({"name": name, "sha256": sha256}))
            remove_tree(self._place(key))
            part.rename(self._place(key))
        finally:
            remove_tree(part)
        self._remove_oldest(key)

    def _place(self, key: str) -> Path:
        return self.folder / key[:_NAME_CHARACTERS]

    def _wait(self, lock: int) -> None:
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop_if_alone()
                if time.monotonic() > deadline:
                    detail = f"another run has been building the same for {self._seconds:g} s"
                    raise RunEndedError(Ending.UNFIT, detail) from None
            time.sleep(_POLL_SECONDS)

    def _remove_oldest(self, used: str) -> None:
        known = []
        for place in self.folder.glob(f"*/{_DESCRIPTION}"):
            with contextlib.suppress(FileNotFoundError):
                size = sum(file.stat().st_size for file in place.parent.iterdir())
                known.append((place.parent.stat().st_mtime, size, place.parent))
        total = sum(size for _, size, _ in known)
        for _, size, place in sorted(known):
            if total > MAXIMUM_BYTES and place != self._place(used):
                remove_tree(place)
                total -= size


def _lock_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _remove_others(folder: Path, used: str, kept: int) -> None:
    finish_removals(folder)
    places = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for place in sorted(places, key=_last_used, reverse=True)[kept:]:
        if place.name == used:
            continue
        with _lock_path(place).open("a", encoding="utf-8") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(place)


def _last_used(place: Path) -> float:
    try:
        return _lock_path(place).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _copy(source: int, target: Path) -> str:
    """Copy what a descriptor reads into a file; returns its digest. Raises OSError where it is too large."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        while chunk := os.read(source, 1 << 20):
            size += len(chunk)
            if size > MAXIMUM_WHEEL_BYTES:
                msg = f"{target.name} is larger than {MAXIMUM_WHEEL_BYTES} bytes"
                raise OSError(msg)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
