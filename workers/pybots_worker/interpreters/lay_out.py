"""Lays a tree out by its manifest: nothing but what the manifest says, all of it, read-only, or nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pybots_worker.interpreters.folders import UNPACKING_PREFIX, remove_tree
from pybots_worker.interpreters.manifest import FileEntry, FolderEntry, LinkEntry, Manifest

THREADS = 2
"""Decompressing, hashing and writing all leave Python's lock."""

Bring = Callable[[FileEntry, Path], bool]
"""Writes one file, verified, to a path that does not exist; False where it has not got that file."""


def lay_out(
    manifest: Manifest, bring: Bring, destination: Path, *, work: Path | None = None
) -> list[FileEntry]:
    """Make the tree at `destination`, which must not exist; return the files that could not be brought.

    Where there are any, nothing was made. It grows in the folder `work` (without: beside `destination`), and is
    renamed at the end. The manifest has to be one in which `find_problem` finds none. Raises OSError, and what
    `bring` raises.
    """
    tree = (work or destination.parent) / f"{UNPACKING_PREFIX}{secrets.token_hex(6)}"
    try:
        tree.mkdir(parents=True)
        for entry in manifest.entries:
            if isinstance(entry, FolderEntry):
                (tree / entry.path).mkdir()
        lacking = _bring_all(manifest.files(), bring, tree)
        if not lacking:
            _finish(manifest, tree)
            tree.rename(destination)
            destination.chmod(0o555)
        return lacking
    finally:
        remove_tree(tree)


def _bring_all(files: Sequence[FileEntry], bring: Bring, tree: Path) -> list[FileEntry]:
    def one(entry: FileEntry) -> bool:
        path = tree / entry.path
        if not bring(entry, path):
            return False
        path.chmod(0o555 if entry.executable else 0o444)
        return True

    with ThreadPoolExecutor(THREADS) as threads:
        return [entry for entry, there in zip(files, threads.map(one, files), strict=True) if not there]


def _finish(manifest: Manifest, tree: Path) -> None:
    """Make the links last, when nothing is written through them any more, and take away the right to write."""
    for entry in manifest.entries:
        if isinstance(entry, LinkEntry):
            (tree / entry.path).symlink_to(entry.target)
    for entry in reversed(manifest.entries):
        if isinstance(entry, FolderEntry):
            (tree / entry.path).chmod(0o555)
