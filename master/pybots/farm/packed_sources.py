"""Packs a recipe's local folder into an archive named by its digest, so that workers can fetch it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

LEFT_OUT = frozenset({".git", ".hg", ".tox", ".venv", "__pycache__", ".pytest_cache", "node_modules"})
MAXIMUM_BYTES = 200_000_000


OWN = frozenset({"incoming", "last-good", "master", "secrets", "store"})
"""Of a farm's folder: what is never handed to workers, whoever wrote the recipe that asks for it."""


class FolderRefused(Exception):
    """A recipe's folder is not handed out; the text says why."""


class FolderTooLarge(FolderRefused):
    """It holds more than the farm hands out."""


def refuse_own(folder: Path, root: Path, secret: Sequence[Path]) -> None:
    """Raise FolderRefused where the resolved *folder* holds the farm in *root*, is of its own folders, or has a secret.

    *secret* are files; whatever else is in the folder of one is kept with it, unless that is *root* itself.
    """
    root = root.resolve()
    kept = [root / name for name in OWN] + [file.resolve().parent for file in secret]
    private = [place for place in kept if place != root]
    holds = any(place.is_relative_to(folder) for place in (root, *private))
    if holds or any(folder.is_relative_to(place) for place in private):
        msg = f"{folder} has the farm's own files: name a folder of sources"
        raise FolderRefused(msg)


def refuse_outside(folder: Path, allowed: Sequence[Path]) -> None:
    """Raise FolderRefused where the resolved *folder* is below none of *allowed*."""
    if not any(folder.is_relative_to(place.resolve()) for place in allowed):
        msg = (
            f"{folder} is outside of the farm: where every worker may have what is there, "
            "name it, or a folder above it, in farm.toml under [registry] sources"
        )
        raise FolderRefused(msg)


def pack_folder(folder: Path, target_folder: Path) -> str:
    """Write *folder* to TARGET_FOLDER/SHA256.tar.gz and return the digest; the same content has the same one."""
    buffer = io.BytesIO()
    # Neither name nor time in the header: they would make each packing differ.
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        total = 0
        for path in _files(folder):
            info = archive.gettarinfo(str(path), arcname=f"source/{path.relative_to(folder).as_posix()}")
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            info.mode = 0o755 if info.mode & 0o100 else 0o644
            total += info.size
            if total > MAXIMUM_BYTES:
                msg = f"{folder} holds more than {MAXIMUM_BYTES} bytes"
                raise FolderTooLarge(msg)
            if info.issym():
                archive.addfile(info)
            else:
                with path.open("rb") as stream:
                    archive.addfile(info, stream)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    target_folder.mkdir(parents=True, exist_ok=True)
    target = target_folder / f"{digest}.tar.gz"
    if not target.exists():
        temporary = target.with_suffix(f".{os.getpid()}.part")
        temporary.write_bytes(content)
        os.replace(temporary, target)
    return digest


def _files(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        found += [Path(parent, name) for name in sorted(names)]
    return [path for path in found if path.is_symlink() or path.is_file()]
