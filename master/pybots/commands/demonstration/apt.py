"""Talks to apt with a configuration of its own: the system's lists and sources stay as they are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from pybots.commands.demonstration.candidates import Candidate, package_names, parse_showsrc
from pybots.commands.demonstration.package_sources import (
    PackageSource,
    as_deb822,
    parse_deb822,
    parse_one_line,
)

UPDATE_SECONDS = 300
DOWNLOAD_SECONDS = 900


class AptError(Exception):
    """apt could not do it; the message says what it was and what apt said."""


def system_sources(etc_apt: Path = Path("/etc/apt")) -> list[PackageSource]:
    """Everything that the system's own apt sources name, in both file formats."""
    found: list[PackageSource] = []
    parts = sorted((etc_apt / "sources.list.d").glob("*")) if (etc_apt / "sources.list.d").is_dir() else []
    for file in (etc_apt / "sources.list", *parts):
        if file.is_file() and file.suffix == ".list":
            found += parse_one_line(file.read_text(errors="replace"))
        elif file.is_file() and file.suffix == ".sources":
            found += parse_deb822(file.read_text(errors="replace"))
    return found


class SourceApt:
    """apt, for source packages only, with its state in *folder*."""

    def __init__(self, folder: Path, sources: Sequence[PackageSource]) -> None:
        self.folder = folder
        self.configuration = folder / "apt.conf"
        for name in ("lists/partial", "cache/archives/partial", "sources.d", "empty.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "sources.d" / "pybots.sources").write_text(as_deb822(sources))
        self.configuration.write_text(_configuration(folder, _system_acquire()))

    def update(self) -> str:
        """Fetch the indexes; return apt's warnings. A suite that does not exist is one of them, no error."""
        done = self._run(["apt-get", "update"], UPDATE_SECONDS)
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("W:", "E:"))]
        return "\n".join(complaints)

    def candidates(self) -> list[Candidate]:
        """The CPython source packages that the indexes name."""
        return parse_showsrc(self._run(["apt-cache", "showsrc", *package_names()], 60).stdout)

    def download(self, candidate: Candidate, into: Path) -> Path:
        """Fetch and verify the upstream tarball of *candidate*. Raises AptError when it is not there."""
        into.mkdir(parents=True, exist_ok=True)
        wanted = f"{candidate.package}={candidate.version}"
        command = ["apt-get", "source", "--download-only", "--tar-only", wanted]
        done = self._run(command, DOWNLOAD_SECONDS, cwd=into)
        tarball = into / candidate.tarball
        if done.returncode or not tarball.is_file():
            tarball.unlink(missing_ok=True)
            raise AptError(_first_complaint(done.stderr + done.stdout))
        return tarball

    def _run(
        self, command: Sequence[str], seconds: float, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "APT_CONFIG": str(self.configuration), "LC_ALL": "C.UTF-8"}
        try:
            return subprocess.run(
                command,
                cwd=cwd,
                env=environment,
                timeout=seconds,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AptError(f"{' '.join(command[:2])} took longer than {seconds:.0f} s") from error
        except OSError as error:
            raise AptError(f"{command[0]} cannot be started: {error.strerror}") from error


def _first_complaint(text: str) -> str:
    if "404  Not Found" in text:
        return "404 Not Found, though it is in the index"
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line.startswith("E:")), "no tarball came")[:300]


def _configuration(folder: Path, acquire: Iterable[str]) -> str:
    """The text of apt.conf. The system's hooks are left out: they would run on the system's own state."""
    lines = [
        f'Dir::Etc::parts "{folder}/empty.d";',
        'Dir::Etc::main "/dev/null";',
        'Dir::Etc::sourcelist "/dev/null";',
        f'Dir::Etc::sourceparts "{folder}/sources.d";',
        f'Dir::State::lists "{folder}/lists";',
        f'Dir::Cache "{folder}/cache";',
        'Acquire::http::Timeout "20";',
        'Acquire::https::Timeout "20";',
        'Acquire::Retries "1";',
        'Acquire::Languages "none";',
        *acquire,
    ]
    if os.geteuid() == 0:
        # The folder may lie where apt's own user cannot reach it (root's home).
        lines.append('APT::Sandbox::User "root";')
    return "\n".join(lines) + "\n"


def _system_acquire() -> list[str]:
    """How this system reaches its archives: proxies and the like, from its own apt configuration."""
    try:
        done = subprocess.run(
            ["apt-config", "dump"],
            timeout=20,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    prefixes = ("Acquire::http", "Acquire::ftp", "Acquire::Check-", "Acquire::Proxy", "Acquire::socks")
    return [
        line for line in done.stdout.splitlines() if line.startswith(prefixes) and not line.endswith('"";')
    ]
