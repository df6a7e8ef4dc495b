"""Talks to the kernel's control groups: one group a program, where this machine grants them."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids")
PREFIX = "pybots-"
OWN_LEAF = "pybots-worker"
REMOVE_SECONDS = 5.0
FULL_SHARE = 0.98
"""A group that used so much of its limit met it: the last pages are not always handed out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel counted in a group so far."""

    memory_kills: int = 0
    """Processes that it killed for want of memory, the machine's or the group's."""
    memory_refusals: int = 0
    """How often the group's own limit was met."""
    fork_refusals: int = 0


class Group:
    """The control groups of one program, for `memory` and `pids`; one group for both where they are *unified*."""

    def __init__(self, folders: Mapping[str, Path], unified: bool) -> None:
        self._folders = folders
        self._unified = unified

    @property
    def controllers(self) -> set[str]:
        """Which of `memory` and `pids` there are."""
        return set(self._folders)

    @property
    def entrances(self) -> list[str]:
        """The files that a process writes `0` to, to join."""
        return sorted({str(folder / "cgroup.procs") for folder in self._folders.values()})

    def reading(self) -> Reading:
        """Return the counts; 0 for what there is no controller for."""
        memory, pids = self._folders.get("memory"), self._folders.get("pids")
        if self._unified:
            kills, refusals = (
                _count(memory, "memory.events", "oom_kill"),
                _count(memory, "memory.events", "oom"),
            )
        else:
            kills = _count(memory, "memory.oom_control", "oom_kill")
            # Newer kernels no longer count the failures themselves (`memory.failcnt` stays 0).
            most, limit = (
                _number(memory, "memory.max_usage_in_bytes"),
                _number(memory, "memory.limit_in_bytes"),
            )
            refusals = int(most >= FULL_SHARE * limit)
        return Reading(kills, refusals, _count(pids, "pids.events", "max"))

    def close(self) -> None:
        """Remove the group, whose processes are dead or dying."""
        deadline = time.monotonic() + REMOVE_SECONDS
        for folder in set(self._folders.values()):
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        return  # the next program's beginning tries again
                    time.sleep(0.01)


def open_group(
    memory_bytes: int, processes: int, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")
) -> Group | None:
    """Make a group with these limits; None where this machine grants none."""
    parents, unified = _parents(root, own)
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    settings = _settings(memory_bytes, processes, unified=unified)
    made = {}
    for controller, parent in parents.items():
        _remove_stale(parent)
        folder = parent / name
        try:
            folder.mkdir(exist_ok=unified)
            for file, value, needed in settings[controller]:
                _set(folder / file, value, needed=needed)
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        made[controller] = folder
    return Group(made, unified) if made else None


def make_room(root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> None:
    """Move this process into a leaf of its own group, where that was delegated to us (version 2).

    A group that holds processes cannot hold groups with limits.
    """
    folder = _own_unified(root, own)
    if folder is None or folder == root or folder.name == OWN_LEAF:
        return
    with contextlib.suppress(OSError):
        leaf = folder / OWN_LEAF
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text("0")
        (folder / "cgroup.subtree_control").write_text("+memory +pids")


def _settings(memory_bytes: int, processes: int, *, unified: bool) -> dict[str, list[tuple[str, str, bool]]]:
    """For each controller: (file, value, whether there is no limit without it)."""
    if unified:
        memory = [("memory.max", memory_bytes, True), ("memory.swap.max", 0, False)]
    else:
        memory = [
            ("memory.limit_in_bytes", memory_bytes, True),
            ("memory.memsw.limit_in_bytes", memory_bytes, False),
        ]
    return {
        "memory": [(file, str(value), needed) for file, value, needed in memory],
        "pids": [("pids.max", str(processes), True)],
    }


def _parents(root: Path, own: Path) -> tuple[dict[str, Path], bool]:
    """Where groups of ours can be made, by controller, and whether by the second version of the interface."""
    unified = _own_unified(root, own)
    if unified is not None:
        parent = unified.parent if unified.name == OWN_LEAF else unified
        enabled = _words(parent / "cgroup.subtree_control")
        usable = enabled if os.access(parent, os.W_OK) else []
        return {name: parent for name in usable if name in CONTROLLERS}, True
    found: dict[str, Path] = {}
    for line in _lines(own):
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            folder = root / name / path.lstrip("/")
            if name in CONTROLLERS and os.access(folder, os.W_OK):
                found[name] = folder
    return found, False


def _own_unified(root: Path, own: Path) -> Path | None:
    """Our own group, where the second version of the interface is the machine's."""
    if not (root / "cgroup.controllers").exists():
        return None
    path = next((line[3:] for line in _lines(own) if line.startswith("0::")), None)
    return root / path.lstrip("/") if path is not None else None


def _remove_stale(parent: Path) -> None:
    """Remove groups whose maker is dead: it was killed before it could."""
    for folder in parent.glob(f"{PREFIX}[0-9]*-*"):
        maker = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not psutil.pid_exists(int(maker)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _set(file: Path, value: str, *, needed: bool) -> None:
    try:
        file.write_text(value)
    except OSError:
        if needed:
            raise


def _count(folder: Path | None, file: str, name: str) -> int:
    lines = _lines(folder / file) if folder else []
    found = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return int(found[0]) if found else 0


def _number(folder: Path | None, file: str) -> int:
    lines = _lines(folder / file) if folder else []
    return int(lines[0]) if lines else 0


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
