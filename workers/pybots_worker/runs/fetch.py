"""Talks to package indexes, git servers and the master: fetches a project's source, verified."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pybots_worker.contract import ArchiveSource, Ending, FolderSource, GitSource, PypiSource
from pybots_worker.runs.downloads import downloads_of
from pybots_worker.runs.explain import explain
from pybots_worker.runs.locked import FILE_NAME, File, LockError
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.plain import read_plain
from pybots_worker.runs.steps import StepFailedError, ended, raise_if_unfit, run_step
from pybots_worker.runs.unpack import unpack_source
from pybots_worker.runs.uv_steps import packages_here

NOT_COPIED = shutil.ignore_patterns(
    "__pycache__",
    ".venv",
    ".tox",
    ".nox",
    ".hg",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "node_modules",
)
_ANSWER_BYTES = 10_000_000
_GIT_OPTIONS = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A server that stopped sending is a network that failed, after a minute."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: the project's own revision, and the digest of what came."""

    revision: str
    sha256: str | None


def fetch_source(place: Place, interpreter: Path) -> Fetched:
    """Put the project's source into the run's folder.

    Raises RunEndedError (`fetch-failed`, `worker-unfit`).
    """
    source = place.specification.source
    try:
        match source:
            case PypiSource():
                return _fetch_sdist(place, source, interpreter)
            case GitSource():
                return fetch_git(place, source)
            case ArchiveSource():
                return _fetch_archive(place, source.url, source.sha256, source.sha256)
            case FolderSource():
                return _copy_folder(place, Path(source.path))
    except StepFailedError as error:
        raise ended(Ending.FETCH_FAILED, error) from error


def _fetch_sdist(place: Place, source: PypiSource, interpreter: Path) -> Fetched:
    """Let uv choose the sdist (newest release that this Python may have, not yanked), without building it."""
    name = re.sub(r"[-_.]+", "-", source.name).lower()
    what = f"{source.name}=={source.version}" if source.version else source.name
    (place.work / "fetch.in").write_text(what + "\n")
    (place.ours / "fetch.toml").write_text(place.uv_configuration(metadata_of=name))
    environment = place.install_environment(place.work / "uv") | {
        "UV_CONFIG_FILE": str(place.ours / "fetch.toml")
    }
    answer = place.work / "pylock.toml"
    command = [
        str(uv()),
        "pip",
        "compile",
        "fetch.in",
        "--no-deps",
        "--no-binary",
        name,
        "--no-header",
        "--quiet",
    ]
    command += ["--format", "pylock.toml", "--python", str(interpreter), "--output-file", str(answer)]
    run_step(place, f"finding the sdist of {what}", command, environment, network=True)
    try:
        found = _sdist_in(read_plain(place.work, answer.name, _ANSWER_BYTES), place.work)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunEndedError(Ending.FETCH_FAILED, f"{what} has no sdist: {error!r}") from error
    return _fetch_archive(place, *found)


def _sdist_in(answer: bytes, folder: Path) -> tuple[str, str, str]:
    """The address, the digest and the version of the sdist that uv chose."""
    package = tomllib.loads(answer.decode())["packages"][0]
    sdist = package.get("sdist") or package["archive"]
    address = sdist.get("url") or str((folder / sdist["path"]).resolve())
    return str(address), str(sdist["hashes"]["sha256"]), str(package["version"])


def _fetch_archive(place: Place, address: str, sha256: str, revision: str) -> Fetched:
    name = Path(unquote(urlsplit(address).path)).name
    name = name if FILE_NAME.fullmatch(name) else "source.tar.gz"
    place.log.say(f"\nfetching {name}\n")
    source = place.specification.source
    asked = [Path(address).parent] if isinstance(source, ArchiveSource) else []
    try:
        archive = downloads_of(place, asked).take(File(name, sha256, address), place.fetched)
    except LockError as error:
        raise RunEndedError(Ending.FETCH_FAILED, str(error)) from error
    unpack_source(place, archive)
    archive.unlink()
    return Fetched(revision, sha256)


def fetch_git(place: Place, source: GitSource) -> Fetched:
    """Fetch one commit, or everything where a server does not hand out single ones.

    Raises StepFailedError, RunEndedError.
    """
    environment = place.network_environment() | {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    place.source.mkdir()

    def git(what: str, *arguments: str) -> str:
        command = ["git", *_GIT_OPTIONS, *arguments]
        return run_step(
            place,
            what,
            command,
            environment,
            cwd=place.source,
            network=True,
            readable=packages_here(place),
        )

    if source.url.startswith("-") or source.ref.startswith("-"):
        raise RunEndedError(Ending.FETCH_FAILED, "a git address or ref cannot start with '-'")
    what = f"fetching {source.ref} from {source.url}"
    git(what, "init", "--quiet")
    try:
        git(what, "fetch", "--quiet", "--depth=1", source.url, source.ref)
        git(what, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    except StepFailedError:
        git(what, "fetch", "--quiet", "--tags", source.url, "+refs/heads/*:refs/remotes/origin/*")
        try:
            git(what, "checkout", "--quiet", "--detach", source.ref)
        except StepFailedError:
            git(what, "checkout", "--quiet", "--detach", f"origin/{source.ref}")
    return Fetched(git("reading the commit", "rev-parse", "HEAD").strip(), None)


def _copy_folder(place: Place, folder: Path) -> Fetched:
    if not folder.is_dir():
        raise RunEndedError(Ending.FETCH_FAILED, f"there is no folder {folder}")
    try:
        shutil.copytree(folder, place.source, symlinks=True, ignore=NOT_COPIED)
    except shutil.Error as error:
        raise_if_unfit("copying the source", explain(str(error)))
        raise RunEndedError(Ending.FETCH_FAILED, f"copying {folder} failed: {error.args[0][0][2]}") from error
    digest = folder_digest(place.source)
    return Fetched(digest, digest)


def folder_digest(folder: Path) -> str:
    """The digest of every file's path, permission to run, and content; `.git` apart."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git" or (not path.is_symlink() and path.is_dir()):
            continue
        if path.is_symlink():  # to wherever: it is not asked whether that can be
            content = os.fsencode(path.readlink())
        else:
            content = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        runs = not path.is_symlink() and bool(path.stat().st_mode & 0o100)
        digest.update(json.dumps([name, runs, content.hex()]).encode())
    return digest.hexdigest()
