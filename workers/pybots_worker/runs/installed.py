"""Looks at an environment from outside: what is installed in it, and the digest of all of that."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pybots_worker.contract import Ending
from pybots_worker.runs.phases import MACHINE_ERRORS, RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.plain import open_plain, read_plain, walk
from pybots_worker.runs.uv_steps import Wheel

MAXIMUM_FILES = 500_000
_INFO = re.compile(
    r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9._+!]+)(?:-py3[.0-9]*)?\.(?:dist|egg)-info"
)
_LEFT_OUT = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
)
"""Written by the installer: times, and paths of this run."""
_NOT_INSTALLED = frozenset({"pyvenv.cfg", ".gitignore", ".lock", "CACHEDIR.TAG", "lib64"})
_SMALL = 1_000_000
_ADDRESS = re.compile(r"[!-~]{1,2000}")
"""What an address and a commit consist of: what an installer wrote, the project may have written again."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One that is installed; `address` is empty for one from an index, `commit` but for one from a repository."""

    name: str
    version: str
    address: str
    commit: str
    info: Path

    @property
    def exact(self) -> str:
        """What a lock names: the version, or the address with the commit."""
        return f"git+{self.address}@{self.commit}" if self.commit else self.version


def distributions(venv: Path) -> list[Distribution]:
    """List what is installed, by name. Raises OSError, RunEndedError where the project made it unreadable."""
    found = []
    with _made_by_the_project():
        for packages in _packages(venv):
            for path in sorted(packages.iterdir()):
                match = _INFO.fullmatch(path.name)
                if match and not path.is_symlink() and path.is_dir():
                    address, commit = _direct_url(path)
                    name = canonicalize_name(match["name"])
                    found.append(
                        Distribution(name, match["version"].replace("_", "-"), address, commit, path)
                    )
    return sorted(found, key=lambda each: each.name)


@contextlib.contextmanager
def _made_by_the_project() -> Iterator[None]:
    """What cannot be read there is no fault of this machine, unless it says so."""
    try:
        yield
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        raise RunEndedError(
            Ending.ENVIRONMENT_FAILED, f"what is installed cannot be read: {error}"
        ) from error


def others(place: Place) -> list[Distribution]:
    """List what is installed besides what was built from the run's own folder: the project. Raises OSError."""
    own = place.folder.as_uri()
    return [each for each in distributions(place.venv) if not _is_below(each.address, own)]


def raise_unless_exact(place: Place, wheels: Sequence[Wheel], commits: Iterable[str]) -> None:
    """Raise RunEndedError(`environment-failed`) where something else is installed than the lock says."""
    wanted = {wheel.name: wheel.version for wheel in wheels}
    allowed = {*commits, ""}
    found = {each.name: each.version if each.commit in allowed else each.exact for each in others(place)}
    differing = sorted(
        name for name in wanted.keys() | found.keys() if not _same(wanted.get(name), found.get(name))
    )
    if differing:
        name = differing[0]
        detail = (
            f"what is installed is not what the lock says: {name} is {found.get(name, 'absent')}, "
            f"and should be {wanted.get(name, 'absent')} ({len(differing)} differ)"
        )
        raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)


def environment_digest(place: Place, built_with: Sequence[Wheel]) -> str:
    """Digest all that is installed besides the project, by path and content, and what the project was built with.

    Left out is what differs from place to place and says nothing: compiled files, scripts' first lines (so: scripts),
    the installer's notes. Raises OSError, RunEndedError.
    """
    with _made_by_the_project():
        return _environment_digest(place, built_with)


def _environment_digest(place: Place, built_with: Sequence[Wheel]) -> str:
    ours = {each.info for each in others(place)}
    own = {
        path for each in distributions(place.venv) if each.info not in ours for path in recorded_files(each)
    }
    digest = hashlib.sha256()
    for wheel in sorted(built_with, key=lambda wheel: wheel.name):
        digest.update(json.dumps([wheel.name, wheel.version, wheel.file.sha256]).encode())
    for path in _files(place.venv):
        if str(path) not in own and (content := _content(path)):
            digest.update(json.dumps([str(path.relative_to(place.venv)), content]).encode())
    return digest.hexdigest()


def _packages(venv: Path) -> list[Path]:
    above = [path for path in (venv / "lib").glob("python3*") if not path.is_symlink()]
    return [path / "site-packages" for path in above if (path / "site-packages").is_dir()]


def _direct_url(info: Path) -> tuple[str, str]:
    try:
        facts = json.loads(read_plain(info, "direct_url.json", _SMALL))
        commit = str(facts.get("vcs_info", {}).get("commit_id", ""))
        address, commit = str(facts["url"]), commit and commit + _below(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
    sound = _ADDRESS.fullmatch(address) and (not commit or _ADDRESS.fullmatch(commit))
    return (address, commit) if sound else ("", "")


def _below(facts: dict[str, object]) -> str:
    return f"#subdirectory={facts['subdirectory']}" if facts.get("subdirectory") else ""


def _is_below(address: str, above: str) -> bool:
    rest = address.removeprefix(above)
    return rest != address and (not rest or rest[0] in "/#")


def _same(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def recorded_files(distribution: Distribution) -> Iterator[str]:
    """The files of a distribution, as its installer noted them."""
    packages = distribution.info.parent
    for folder, _, files in walk(distribution.info):
        yield from (os.path.join(folder, name) for name in files)  # noqa: PTH118
    try:
        lines = read_plain(distribution.info, "RECORD", 50 * _SMALL).decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        yield os.path.normpath(packages / line.split(",")[0].strip('"'))


def _files(venv: Path) -> Iterator[Path]:
    seen = 0
    for folder, folders, files in walk(venv):
        here = Path(folder)
        folders[:] = [name for name in folders if name != "__pycache__"]
        seen += len(folders) + len(files)
        if seen > MAXIMUM_FILES:
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, f"it has more than {MAXIMUM_FILES} files")
        left_out: frozenset[str] = frozenset()
        if here == venv:
            left_out = _NOT_INSTALLED
        elif here.name.endswith((".dist-info", ".egg-info")):
            left_out = _LEFT_OUT
        for name in sorted(files):
            if name not in left_out and not name.endswith(".pyc") and not name.startswith("_virtualenv."):
                yield here / name


def _content(path: Path) -> str:
    """The digest of a file; empty for scripts, and for links in bin/ (the interpreter's)."""
    script = path.parent.name == "bin"
    with contextlib.suppress(OSError):  # it is no link, or its path is too long to ask
        target = os.readlink(path)  # noqa: PTH115  (a text, not a path)
        return "" if script else f"-> {target}"
    try:
        opened = open_plain(path.parent, path.name)
    except OSError:
        return "no plain file"
    with os.fdopen(opened, "rb") as file:
        if script and (file.read(2) == b"#!" or path.name.startswith(("activate", "deactivate", "pydoc"))):
            return ""
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
