"""Talks to the kernel: a small file system in memory, for this process and its children alone, that can be filled.

It needs no rights: where we are not root, it is in a user namespace of our own, with the same account. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_REMOUNT, _RECURSIVE, _PRIVATE = 1 << 5, 1 << 14, 1 << 18


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A folder on a file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave no room in it: from now on the kernel answers ENOSPC."""
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        _mount("tmpfs", str(self.folder), _REMOUNT, f"size={max(used, found.f_frsize)}")


@contextlib.contextmanager
def small_file_system(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount *size* bytes on a new folder; what is in it is gone with this process. Raises OSError.

    This process, which may have no other threads, stays in its own namespace.
    """
    folder.mkdir()
    _leave_namespaces()
    _mount("", "/", _RECURSIVE | _PRIVATE, "")
    _mount("tmpfs", str(folder), 0, f"size={size},mode=755")
    yield SmallDisk(folder)


def _leave_namespaces() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", _NEW_MOUNTS)
    except PermissionError:
        _call("unshare", _NEW_MOUNTS | _NEW_USERS)
    else:
        return
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _mount(kind: str, target: str, flags: int, options: str) -> None:
    _call("mount", b"none", os.fsencode(target), kind.encode(), flags, options.encode())


def _call(name: str, *arguments: int | bytes) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
