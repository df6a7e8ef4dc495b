"""Talks to the outside for CPython's source: the public repository, else a source package."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pybots.commands.demonstration.apt import AptError, SourceApt, system_sources
from pybots.commands.demonstration.candidates import Version, in_order, parse_version
from pybots.commands.demonstration.local_repository import (
    BRANCH,
    SourceError,
    commit_tarball,
    fetch_head,
    head,
    reach,
)
from pybots.commands.demonstration.package_sources import PackageSource, read_system, with_next_suites
from pybots.config.files import write_atomically

PUBLIC_REPOSITORY = "https://github.com/python/cpython"
REACH_SECONDS = 8.0
OWN_REPOSITORY = "cpython.git"
"""The repository that is made in the demonstration's own folder."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trunk:
    """What the farm follows: a repository (path or URL) and its branch, and where its head came from."""

    git: str
    branch: str
    commit: str
    origin: str
    """For people: `CPython 3.13.15 from the source package python3.13 3.13.15-1`."""
    asked_git: str = ""
    asked_version: str = ""


class CPythonSource:
    """Gets CPython's source into *folder*, once: a later call with the same wishes needs no network."""

    def __init__(
        self, folder: Path, say: Say, package_sources: Sequence[PackageSource] | None = None
    ) -> None:
        self.folder = folder
        self.say = say
        self.package_sources = package_sources
        self.repository = folder / OWN_REPOSITORY
        self._record = folder / "source.json"

    def get(self, url: str | None, version: str | None) -> Trunk:
        """Return the trunk for `--git` *url* and `--cpython` *version* (None: not given).

        Raises SourceError when there is no source to be had.
        """
        before = self._before()
        asked = (url or "", version or "")
        if before is not None and asked in {(before.asked_git, before.asked_version), ("", "")}:
            return self._kept(before)
        if before is not None and asked[0] != before.asked_git:
            raise SourceError(
                f"this folder follows {before.asked_git or before.git}; give --dir NEW_FOLDER to follow "
                f"{url or PUBLIC_REPOSITORY}"
            )
        trunk = replace(self._new(url, version), asked_git=url or "", asked_version=version or "")
        self._save(trunk)
        return trunk

    def _kept(self, before: Trunk) -> Trunk:
        if Path(before.git) != self.repository:
            # Somebody's own repository on this machine: its branch may have moved on.
            return replace(self._new(before.git, None), asked_git=before.asked_git)
        self.say(f"{before.origin}; kept from an earlier run")
        return before

    def _before(self) -> Trunk | None:
        try:
            saved: dict[str, str] = json.loads(self._record.read_text())
            trunk = Trunk(**saved)
            if trunk.git == OWN_REPOSITORY:
                trunk = replace(trunk, git=str(self.repository))
                head(self.repository)
        except (OSError, ValueError, TypeError, SourceError):
            return None  # never made, or its making was interrupted: it is made again
        return trunk

    def _save(self, trunk: Trunk) -> None:
        # By a relative name, so that the folder can be moved.
        git = OWN_REPOSITORY if Path(trunk.git) == self.repository else trunk.git
        write_atomically(
            self._record, (json.dumps(asdict(replace(trunk, git=git)), indent=1) + "\n").encode()
        )

    def _new(self, url: str | None, version: str | None) -> Trunk:
        pinned = parse_version(version) if version else None
        if version and pinned is None:
            raise SourceError(f"--cpython {version!r} is not a version; write it like 3.13.5")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._from_git(url or PUBLIC_REPOSITORY, pinned)
        except SourceError as error:
            if url:
                raise SourceError(f"{error}. Check --git, or leave it out") from error
            self.say(f"the public repository cannot be reached ({error}): looking for a source package")
        return self._from_package(pinned)

    def _from_git(self, url: str, pinned: Version | None) -> Trunk:
        ref = f"refs/tags/v{pinned}" if pinned else "HEAD"
        branch, commit = reach(url, ref, REACH_SECONDS)
        if Path(url).exists() and pinned is None:
            path = str(Path(url).resolve())
            return Trunk(path, branch, commit, f"CPython {branch} at {commit[:12]} from {path}")
        self.say(f"fetching {url} at {commit[:12]}")
        commit = fetch_head(self.repository, url, ref)
        name = str(pinned) if pinned else branch
        return Trunk(str(self.repository), BRANCH, commit, f"CPython {name} at {commit[:12]} from {url}")

    def _from_package(self, pinned: Version | None) -> Trunk:
        apt = SourceApt(self.folder / "apt", self._sources())
        try:
            complaints = apt.update()
            candidates = in_order(apt.candidates(), pinned)
        except AptError as error:
            raise SourceError(f"{error}. Give a CPython repository with --git") from error
        if not candidates:
            wanted = f"CPython {pinned}" if pinned else "CPython"
            raise SourceError(
                f"no source package of {wanted} in the package sources{': ' if complaints else ''}"
                f"{complaints.partition(chr(10))[0]}. Give a CPython repository with --git"
            )
        for candidate in candidates:
            try:
                tarball = apt.download(candidate, self.folder / "tarballs")
            except AptError as error:
                self.say(f"{candidate.package} {candidate.version} is not there: {error}")
                continue
            package = f"{candidate.package} {candidate.version}"
            self.say(f"putting {tarball.name} into a git repository")
            message = f"CPython {candidate.upstream}\n\nFrom the source package {package}."
            commit = commit_tarball(self.repository, tarball, message)
            shutil.rmtree(apt.folder, ignore_errors=True)  # 200 MB of indexes that nobody needs again
            origin = f"CPython {candidate.upstream} from the source package {package}"
            return Trunk(str(self.repository), BRANCH, commit, origin)
        raise SourceError(
            f"none of {len(candidates)} source packages could be downloaded. "
            "Give a CPython repository with --git"
        )

    def _sources(self) -> Sequence[PackageSource]:
        if self.package_sources is not None:
            return self.package_sources
        try:
            system = read_system(Path("/etc/os-release").read_text())
        except OSError as error:
            raise SourceError(
                "this system has no apt sources. Give a CPython repository with --git"
            ) from error
        sources = with_next_suites(system, system_sources())
        if not sources:
            raise SourceError(
                "this system's package sources name no Debian or Ubuntu archive. "
                "Give a CPython repository with --git"
            )
        return sources
