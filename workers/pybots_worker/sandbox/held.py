"""Looks for files on the disk that processes keep without a name: open, mapped, or on their way between them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

from pybots_worker.sandbox.disk import Taken

_MAPPED = re.compile(
    rb"^(?P<range>[0-9a-f]+-[0-9a-f]+) \S+ [0-9a-f]+ (?P<major>[0-9a-f]+):(?P<minor>[0-9a-f]+) (?P<inode>\d+) +"
    rb"(?P<path>.*) \(deleted\)$",
    re.MULTILINE,
)
_IN_MEMORY = ("/memfd:", "/dev/zero", "/SYSV", "/[aio]", "/dev/shm/", "/dev/shm (")  # noqa: S108
_RING = "anon_inode:[io_uring]"
"""What is registered in one is held by it alone."""
_UNDER_WAY = re.compile(rb"^scm_fds:\s*[1-9]", re.MULTILINE)

_Inode = tuple[int, int]


def unlinked_on_disk(pids: Sequence[int]) -> Taken:
    """Return the disk space of files that these processes hold and that have no name any more.

    `hidden`: some of them hold what cannot be looked at.
    """
    known: dict[_Inode, int] = {}
    hidden = False
    for pid in pids:
        try:
            hidden |= _open_files(pid, known)
            hidden |= _mapped_files(pid, known)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:  # it forbade to be looked at, as a program may
            hidden = True
    return Taken(sum(known.values()), hidden)


def _open_files(pid: int, known: dict[_Inode, int]) -> bool:
    """Each thread may have files of its own. Returns whether something cannot be looked at."""
    hidden = False
    for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
        folder = f"/proc/{pid}/task/{task}"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for number in os.listdir(f"{folder}/fd"):  # noqa: PTH208
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    hidden |= _open_file(folder, number, known)
    return hidden


def _open_file(folder: str, number: str, known: dict[_Inode, int]) -> bool:
    target = os.readlink(f"{folder}/fd/{number}")  # noqa: PTH115
    if target.endswith(" (deleted)") and not target.startswith(_IN_MEMORY):
        _add(f"{folder}/fd/{number}", known)
    if target.startswith("socket:"):
        return bool(_UNDER_WAY.search(_read(f"{folder}/fdinfo/{number}")))
    return target == _RING


def _mapped_files(pid: int, known: dict[_Inode, int]) -> bool:
    hidden = False
    for where, inode in _mappings(pid):
        if inode not in known:
            try:
                _add(f"/proc/{pid}/map_files/{where}", known)
            except OSError:  # only root may follow it
                hidden = True
    return hidden


def _mappings(pid: int) -> Iterator[tuple[str, _Inode]]:
    for found in _MAPPED.finditer(_read(f"/proc/{pid}/maps")):
        if not os.fsdecode(found["path"] + b" (deleted)").startswith(_IN_MEMORY):
            device = os.makedev(int(found["major"], 16), int(found["minor"], 16))
            yield found["range"].decode(), (device, int(found["inode"]))


def _add(path: str, known: dict[_Inode, int]) -> None:
    found = os.stat(path)  # noqa: PTH116
    if found.st_nlink == 0:
        known[found.st_dev, found.st_ino] = found.st_blocks * 512


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()
