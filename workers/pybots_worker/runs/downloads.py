"""The store of downloads that all runs on this machine share: by digest, verified, bounded."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.download import download
from pybots_worker.runs.locked import File
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.reach import Server
from pybots_worker.runs.spent import Spent
from pybots_worker.sandbox.limits import amount

DOWNLOADS = "downloads"
"""Its folder in a worker's cache."""
MAXIMUM_BYTES = 8_000_000_000
"""What stays; beyond it the least recently used goes."""
AT_ONCE = 6
_LEFT_SECONDS = 86_400
"""A part that is older was left by a process that is gone."""
_PART = ".part-"


class Downloads:
    """`FOLDER/SHA256/NAME`. What is taken out is a copy, verified on its way: removing never hurts anybody."""

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float,
        maximum_bytes: int = MAXIMUM_BYTES,
        local: Sequence[Path] | None = None,
        servers: frozenset[Server] = frozenset(),
        spent: Spent | None = None,
        run_bytes: int = MAXIMUM_BYTES,
    ) -> None:
        """With *local*, what is on this machine is taken from below these folders only.

        Project code may have written the answer that names the address: any other file is none of its business, nor
        is any server inside of this network that is not among *servers*. What comes is added to *spent*; it, and what
        lies in one folder that files are copied to, is at most *run_bytes*.
        """
        self._servers = servers
        self._spent = spent or Spent()
        self._run_bytes = run_bytes
        self._local = local
        self._folder = folder
        self._seconds = seconds
        self._maximum_bytes = maximum_bytes

    def has(self, file: File) -> bool:
        """Whether it is there; `take` finds out whether it is still what it was."""
        return self._path(file).is_file()

    def fetch(self, files: Iterable[File]) -> None:
        """Download what is not there, several at once.

        Raises RunEndedError: `worker-unfit` where a server cannot be reached, `fetch-failed` where it does not
        have the file, or has another one.
        """
        missing = {file.sha256: file for file in files if not self.has(file)}
        if not missing:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(self._add, file) for file in missing.values()]:
                done.result()
        self._remove_oldest()

    def take(self, file: File, folder: Path) -> Path:
        """Copy a file into a folder, downloading it where it is not there. Raises RunEndedError as `fetch` does."""
        target = folder / file.name
        for _attempt in range(3):  # another process may remove it meanwhile, or it was spoilt
            self.fetch([file])
            with contextlib.suppress(FileNotFoundError):
                self._refuse_too_much(file, folder)
                if _copy(self._path(file), target) == file.sha256:
                    os.utime(self._path(file).parent)
                    return target
                remove_tree(self._path(file).parent)
        raise OSError(errno.EIO, "a download is not what was written", str(self._path(file)))

    def _path(self, file: File) -> Path:
        file.raise_unless_plain()
        return self._folder / file.sha256 / file.name

    def _add(self, file: File) -> None:
        if not file.address:  # it was there when its address was looked for
            raise FileNotFoundError(errno.ENOENT, "the download was removed meanwhile", file.name)
        self._refuse_elsewhere(file)
        part = self._folder / f"{_PART}{secrets.token_hex(8)}"
        part.mkdir()
        try:
            download(
                file.address,
                part / file.name,
                file.sha256,
                seconds=self._seconds,
                servers=self._servers,
                count=lambda size: self._spent.add(size, self._run_bytes),
            )
            (part / file.name).chmod(0o444)
            try:
                part.rename(self._path(file).parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                if not self.has(file):  # the same content under another name
                    (part / file.name).rename(self._path(file))
        finally:
            remove_tree(part)

    def _refuse_too_much(self, file: File, folder: Path) -> None:
        there = sum(path.stat().st_size for path in folder.iterdir() if path.name != file.name)
        if there + self._path(file).stat().st_size > self._run_bytes:
            detail = f"what it needs takes more than {amount(self._run_bytes)} on the disk"
            raise RunEndedError(Ending.DISK_LIMIT, detail)

    def _refuse_elsewhere(self, file: File) -> None:
        parts = urlsplit(file.address)
        if self._local is None or parts.scheme in ("http", "https"):
            return
        path = Path(unquote(parts.path) if parts.scheme == "file" else file.address).resolve()
        if not any(path.is_relative_to(folder.resolve()) for folder in self._local):
            detail = f"{file.name} is at an address that packages do not come from"
            raise RunEndedError(Ending.FETCH_FAILED, detail)

    def _remove_oldest(self) -> None:
        known = []
        for place in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                used = place.stat().st_mtime
                if not place.name.startswith("."):
                    known.append((used, sum(file.stat().st_size for file in place.iterdir()), place))
                elif used < time.time() - _LEFT_SECONDS:
                    remove_tree(place)
        total = sum(size for _, size, _ in known)
        for _, size, place in sorted(known):
            if total <= self._maximum_bytes:
                return
            remove_tree(place)
            total -= size


def downloads_of(place: Place, local: Iterable[Path] = ()) -> Downloads:
    """The store, for one run: from the world, and from where the owner of this machine or the farm has packages."""
    limits = place.specification.limits
    return Downloads(
        place.cache / DOWNLOADS,
        seconds=limits.prepare_seconds,
        local=[*place.links, *local],
        servers=place.servers,
        spent=place.spent,
        run_bytes=limits.disk_bytes,
    )


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the digest of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(1 << 20):
            digest.update(chunk)
            written.write(chunk)
        shutil.copymode(source, target)
    target.chmod(0o644)
    return digest.hexdigest()
