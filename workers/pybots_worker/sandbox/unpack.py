"""Unpacks a source's archive inside of the sandbox, for whoever packed it may have meant harm.

`python -I -S unpack.py TASK`, standard library only; TASK is one JSON object: `archive`, `folder` (an empty one),
`bytes`, `files`, `memory`. It prints one JSON object: `{}` where the archive's one top folder is now FOLDER/source,
else `problem`, and `errno` where the system refused something.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

MAXIMUM_NAME = 1000
TOLD = 300
EARLIEST = 315_619_200
"""1980-01-02: wheels cannot hold earlier times, and an archive that is always the same has time 0."""


class RefusedError(Exception):
    """The archive is not one that we unpack; the text says why."""


def main(arguments: list[str]) -> int:
    """Unpack, and say what came of it; every archive, however made, ends here with an answer."""
    task: dict[str, Any] = json.loads(arguments[0])
    _bound_this_process(task)
    answer: dict[str, Any] = {}
    try:
        unpack(Path(task["archive"]), Path(task["folder"]), task["bytes"], task["files"])
    except RefusedError as error:
        answer["problem"] = str(error)
    except MemoryError:
        answer["problem"] = f"reading it takes more than {task['memory']} bytes of memory"
    except Exception as error:  # noqa: BLE001  (there is no end to what the parsers raise over a broken archive)
        answer["problem"] = f"is broken: {_said(error)}"
        if isinstance(error, OSError):
            answer["errno"] = error.errno
    print(json.dumps(answer))
    return 0


def unpack(archive: Path, folder: Path, most_bytes: int, most_files: int) -> None:
    """Unpack an archive; its one top folder becomes FOLDER/source. Raises RefusedError, and whatever parsers raise."""
    loose = folder / "loose"
    loose.mkdir()
    _extract(archive, loose, _Bound(most_bytes, most_files))
    tops = os.listdir(loose)  # noqa: PTH208
    if len(tops) != 1 or not stat.S_ISDIR((loose / tops[0]).lstat().st_mode):
        msg = "does not hold one folder with the source in it"
        raise RefusedError(msg)
    (loose / tops[0]).rename(folder / "source")


def _extract(archive: Path, target: Path, bound: _Bound) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                bound.add(entry.file_size)
            zipped.extractall(target)  # noqa: S202  (zipfile keeps to the folder)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter=bound.member)  # noqa: S202


class _Bound:
    """What an archive holds so far, for it must not fill the disk."""

    def __init__(self, most_bytes: int, most_files: int) -> None:
        self._most_bytes, self._most_files = most_bytes, most_files
        self._bytes = self._files = 0
        self._links: set[PurePosixPath] = set()

    def add(self, size: int) -> None:
        self._bytes += size
        self._files += 1
        if self._bytes > self._most_bytes or self._files > self._most_files:
            msg = f"holds more than {self._most_bytes} bytes or {self._most_files} files"
            raise RefusedError(msg)

    def member(self, member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        self.add(member.size)
        self._refuse_escape(member)
        safe = tarfile.data_filter(member, path)
        return safe.replace(mtime=max(safe.mtime, EARLIEST)) if safe else None

    def _refuse_escape(self, member: tarfile.TarInfo) -> None:
        """Refuse what could lead outside: tarfile's own filter can be deceived by paths that are too long to resolve.

        A link may begin with `..` where no folder above it is a link itself; then what it names is what it seems.
        """
        name, link = PurePosixPath(member.name), PurePosixPath(member.linkname).parts
        is_link = member.issym() or member.islnk()
        up = next((index for index, part in enumerate(link) if part != ".."), len(link))
        up = up if member.issym() else 0
        bad = ".." in name.parts or len(member.name) > MAXIMUM_NAME
        if is_link:
            bad = bad or link[:1] == ("/",) or ".." in link[up:] or up >= len(name.parts)
            bad = bad or (up > 0 and not self._links.isdisjoint(name.parents))
        if bad:
            msg = f"is broken: {member.name[:100]!r} leads elsewhere"
            raise RefusedError(msg)
        if member.issym():
            self._links.add(name)


def _bound_this_process(task: dict[str, Any]) -> None:
    """A header that says it is gigabytes long ends in a MemoryError, also where nothing else bounds memory."""
    import resource  # noqa: PLC0415  (absent on Windows)

    for number, most in ((resource.RLIMIT_AS, task["memory"]), (resource.RLIMIT_FSIZE, task["bytes"])):
        _soft, hard = resource.getrlimit(number)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (value, value))


def _said(error: Exception) -> str:
    text = f"{error}" or type(error).__name__
    return text[:TOLD].encode("utf-8", "backslashreplace").decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
