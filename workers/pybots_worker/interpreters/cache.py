"""Fetches stored interpreters over HTTP, and keeps the few that were used last."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pybots_worker.contract import StoredInterpreter
from pybots_worker.interpreters.download import DOWNLOAD_SECONDS, Download, DownloadError
from pybots_worker.interpreters.file_cache import LIMIT_BYTES, FileCache
from pybots_worker.interpreters.folders import finish_removals, remove_tree
from pybots_worker.interpreters.lay_out import lay_out
from pybots_worker.interpreters.prove import prove_interpreter
from pybots_worker.interpreters.toolchain import build_environment
from pybots_worker.processes import BoundedLog

__all__ = ["DownloadError", "UnfitError", "fetch_interpreter"]

KEPT = 10
"""How many interpreters stay laid out, besides those that are in use."""
FILES_FOLDER = "interpreter-files"
ATTEMPTS = 3
PROOF_SECONDS = 300.0
_POLL_SECONDS = 0.1
_WORK_SUFFIX = ".preparing"
_DIGEST = re.compile(r"[0-9a-f]{64}")

_held: dict[Path, IO[str]] = {}
"""The locks of the interpreters that this process uses: shared, and kept until the process ends."""


class UnfitError(Exception):
    """This machine cannot run the interpreter, and that is nobody's regression; the text says why."""


def fetch_interpreter(interpreter: StoredInterpreter, cache: Path, *, kept: int = KEPT) -> Path:
    """Return the folder of an interpreter (`bin/python3` in it), read-only; it stays until this process ends.

    Any number of processes may ask at once. Raises DownloadError, UnfitError, OSError.
    """
    folder = cache.absolute() / "interpreters"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / interpreter.digest
    if place in _held:
        return place
    lock = _lock_path(place).open("a", encoding="utf-8")
    try:
        while not _share(lock, place):
            with _alone(lock, place):
                _prepare(interpreter, place)
    except BaseException:
        lock.close()
        raise
    _held[place] = lock
    os.utime(_lock_path(place))
    _remove_oldest(folder, kept)
    return place


def _lock_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _proven_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.proven")


def _work_path(place: Path) -> Path:
    """Where it is laid out and proven, by who holds its lock alone."""
    return place.with_name(f"{place.name}{_WORK_SUFFIX}")


def _share(lock: IO[str], place: Path) -> bool:
    """Hold the interpreter together with others who use it; False, and not held, where it is not ready."""
    _wait(lock, fcntl.LOCK_SH, place)
    if place.is_dir() and _proven_path(place).exists():
        return True
    fcntl.flock(lock, fcntl.LOCK_UN)
    return False


@contextlib.contextmanager
def _alone(lock: IO[str], place: Path) -> Iterator[None]:
    _wait(lock, fcntl.LOCK_EX, place)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _wait(lock: IO[str], kind: int, place: Path) -> None:
    deadline = time.monotonic() + DOWNLOAD_SECONDS + PROOF_SECONDS
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                msg = f"another process has kept {place} locked for {DOWNLOAD_SECONDS + PROOF_SECONDS:.0f} seconds"
                raise DownloadError(msg) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _prepare(interpreter: StoredInterpreter, place: Path) -> None:
    """Download, lay out and prove, each unless it is done; we hold the interpreter alone."""
    work = _work_path(place)
    remove_tree(work)
    work.mkdir()
    try:
        if not place.is_dir():
            _fetch(interpreter, place, work)
        _prove_imports(place, work / "proof")
    finally:
        remove_tree(work)
    _proven_path(place).touch()


def _fetch(interpreter: StoredInterpreter, place: Path, work: Path) -> None:
    """Fetch what this machine lacks of it, and lay it out; a file of ours that is broken is fetched anew."""
    files = FileCache(place.parent.with_name(FILES_FOLDER))
    download = Download(interpreter)
    manifest = download.manifest()
    sizes = manifest.sizes()
    for _ in range(ATTEMPTS):
        lacking = files.lacking(sizes)
        if lacking:
            download.files({digest: sizes[digest] for digest in lacking}, files)
        missing = lay_out(manifest, files.bring, place, work=work)
        if not missing:
            break
    else:
        msg = f"{missing[0].path} of {interpreter.digest[:12]} is not there after {ATTEMPTS} downloads"
        raise DownloadError(msg)
    files.remove_oldest(LIMIT_BYTES, time.time())


def _prove_imports(place: Path, work: Path) -> None:
    """An interpreter needs the system libraries that it was built against: see whether this machine has them."""
    log = BoundedLog(100_000, 100_000)
    environment = build_environment(os.environ)
    python = place / "bin" / "python3"
    _, wrong = prove_interpreter(python, environment, log, PROOF_SECONDS, work, quick=True)
    if wrong:
        said = log.tail_text(3).strip()
        msg = f"interpreter {place.name[:12]} does not work on this machine: {wrong}" + (
            f" ({said})" if said else ""
        )
        raise UnfitError(msg)


def _remove_oldest(folder: Path, kept: int) -> None:
    """Remove the least recently used beyond `kept`, never one that somebody holds, and what a killed process left."""
    finish_removals(folder)
    places = [place for place in folder.iterdir() if _DIGEST.fullmatch(place.name)]
    old = sorted(places, key=_last_used, reverse=True)[kept:]
    left = [work.with_suffix("") for work in folder.glob(f"*{_WORK_SUFFIX}")]
    for place in {*old, *left} - _held.keys():
        with _lock_path(place).open("a", encoding="utf-8") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(_work_path(place))
            if place in old:
                _proven_path(place).unlink(missing_ok=True)
                remove_tree(place)


def _last_used(place: Path) -> float:
    try:
        return _lock_path(place).stat().st_mtime
    except FileNotFoundError:
        return 0.0
