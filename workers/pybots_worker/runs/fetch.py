"""Talks to package indexes, git servers and the master: fetches a project's source, verified."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pybots_worker.contract import ArchiveSource, Ending, FolderSource, GitSource, PypiSource
from pybots_worker.runs.downloads import DOWNLOADS, Downloads
from pybots_worker.runs.explain import explain
from pybots_worker.runs.locked import FILE_NAME, File
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.steps import StepFailedError, ended, raise_if_unfit, run_step
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
MAXIMUM_BYTES = 2_000_000_000
MAXIMUM_FILES = 200_000
MAXIMUM_NAME = 1000
"""Of an archive, unpacked."""
_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
)
_GIT_OPTIONS = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A server that stopped sending is a network that failed, after a minute."""
_EARLIEST = 315_619_200
"""1980-01-02: wheels cannot hold earlier times, and an archive that is always the same has time 0."""


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
    package = tomllib.loads(answer.read_text())["packages"][0]
    sdist = package.get("sdist") or package.get("archive")
    if not sdist:
        raise RunEndedError(Ending.FETCH_FAILED, f"{what} has no sdist")
    address = sdist.get("url") or str((place.work / sdist["path"]).resolve())
    return _fetch_archive(place, address, sdist["hashes"]["sha256"], package["version"])


def _fetch_archive(place: Place, address: str, sha256: str, revision: str) -> Fetched:
    name = Path(unquote(urlsplit(address).path)).name
    name = name if FILE_NAME.fullmatch(name) else "source.tar.gz"
    place.log.write(f"\nfetching {name}\n".encode())
    seconds, source = place.specification.limits.prepare_seconds, place.specification.source
    asked = [Path(address).parent] if isinstance(source, ArchiveSource) else []
    downloads = Downloads(place.cache / DOWNLOADS, seconds=seconds, local=[*place.links, *asked])
    archive = downloads.take(File(name, sha256, address), place.work)
    unpack_source(archive, place.source)
    archive.unlink()
    return Fetched(revision, sha256)


def unpack_source(archive: Path, target: Path) -> None:
    """Unpack what is in the archive's one top folder; whatever is wrong with the archive ends as `fetch-failed`."""
    loose = target.with_name("unpacked")
    try:
        _extract(archive, loose)
    except RunEndedError:
        raise
    except Exception as error:  # there is no end to what the parsers raise over a broken archive
        if isinstance(error, OSError) and error.errno in _MACHINE:
            raise
        raise RunEndedError(Ending.FETCH_FAILED, f"the source's archive is broken: {error}") from error
    tops = list(loose.iterdir())
    if len(tops) != 1 or not tops[0].is_dir() or tops[0].is_symlink():
        raise RunEndedError(
            Ending.FETCH_FAILED, f"{archive.name} does not hold one folder with the source in it"
        )
    tops[0].rename(target)
    loose.rmdir()


def _extract(archive: Path, target: Path) -> None:
    bound = _Bound()
    target.mkdir()
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

    def __init__(self) -> None:
        self._bytes = self._files = 0
        self._links: set[PurePosixPath] = set()

    def add(self, size: int) -> None:
        self._bytes += size
        self._files += 1
        if self._bytes > MAXIMUM_BYTES or self._files > MAXIMUM_FILES:
            detail = f"the source's archive holds more than {MAXIMUM_BYTES} bytes or {MAXIMUM_FILES} files"
            raise RunEndedError(Ending.FETCH_FAILED, detail)

    def _refuse_escape(self, member: tarfile.TarInfo) -> None:
        """Refuse what could lead outside: tarfile's own filter can be deceived by paths that are too long to resolve.

        A link may begin with `..` where no folder above it is a link itself; then what it names is what it seems.
        """
        name, link = PurePosixPath(member.name), PurePosixPath(member.linkname).parts
        up = (
            next((index for index, part in enumerate(link) if part != ".."), len(link))
            if member.issym()
            else 0
        )
        bad = ".." in name.parts or len(member.name) > MAXIMUM_NAME
        if member.issym() or member.islnk():
            bad = bad or link[:1] == ("/",) or ".." in link[up:] or up >= len(name.parts)
            bad = bad or (up > 0 and not self._links.isdisjoint(name.parents))
        if bad:
            raise RunEndedError(
                Ending.FETCH_FAILED, f"the source's archive is broken: {member.name[:100]!r} leads elsewhere"
            )
        if member.issym():
            self._links.add(name)

    def member(self, member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        self.add(member.size)
        self._refuse_escape(member)
        safe = tarfile.data_filter(member, path)
        return safe.replace(mtime=max(safe.mtime, _EARLIEST)) if safe else None


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
        if name.split("/")[0] == ".git" or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            content = str(path.readlink()).encode()
        else:
            content = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        runs = not path.is_symlink() and bool(path.stat().st_mode & 0o100)
        digest.update(json.dumps([name, runs, content.hex()]).encode())
    return digest.hexdigest()
