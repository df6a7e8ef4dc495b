"""Reads what uv chose (pylock.toml): the distributions, their files, and where those are."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from pybots_worker.runs.locked import Entry, File, LockError, raise_unless_writable


def read_pylock(content: bytes, folder: Path) -> list[Entry]:
    """Read uv's answer; what lies below the run's folder (the project itself) is left out. Raises LockError.

    Relative paths in it start from `folder/work`.
    """
    try:
        packages = tomllib.loads(content.decode()).get("packages", [])
        found = [_entry(package, folder / "work") for package in packages if not _is_own(package, folder)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        msg = f"uv's answer cannot be read: {error!r}"
        raise LockError(msg) from error
    for entry in found:
        raise_unless_writable(entry)
    return found


def _is_own(package: dict[str, Any], folder: Path) -> bool:
    if "directory" in package:
        return True
    archive = package.get("archive", {})
    where = unquote(urlsplit(archive.get("url", "")).path) or archive.get("path", "")
    return bool(where) and Path(os.path.normpath(folder / "work" / where)).is_relative_to(folder)


def _entry(package: dict[str, Any], folder: Path) -> Entry:
    name = canonicalize_name(package["name"])
    if vcs := package.get("vcs"):
        below = f"#subdirectory={vcs['subdirectory']}" if "subdirectory" in vcs else ""
        return Entry(name, f"git+{vcs['url']}@{vcs['commit-id']}{below}")
    if archive := package.get("archive"):
        file = _file(archive, folder)
        return Entry(name, file.address, (file,))
    found = [_file(wheel, folder) for wheel in package.get("wheels", [])]
    if "sdist" in package:
        found.append(_file(package["sdist"], folder))
    return Entry(name, str(package["version"]), tuple(found))


def _file(described: dict[str, Any], folder: Path) -> File:
    address = described.get("url") or (folder / described["path"]).resolve().as_uri()
    name = described.get("name") or Path(unquote(urlsplit(address).path)).name
    sha256 = described.get("hashes", {}).get("sha256", "")
    if len(sha256) != 64:
        msg = f"the index names no sha256 for {name}"
        raise LockError(msg)
    file = File(name, sha256, address)
    file.raise_unless_plain()
    return file
