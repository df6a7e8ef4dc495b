"""Decides in which order CPython source packages are tried: newest first, final releases before others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

OLDEST_MINOR = 11
"""What the registered projects support begins here."""
NEWEST_MINOR = 40
"""apt is asked for python3.11 to this; unknown names only cost a warning."""

_UPSTREAM = re.compile(r"^3\.(\d+)\.(\d+)(?:~?(a|b|rc)(\d+))?$")
_STAGES = {"a": 0, "b": 1, "rc": 2}
_FINAL = 3


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A CPython version; ordered as CPython does: 3.15.0rc1 < 3.15.0."""

    minor: int
    micro: int
    stage: int = _FINAL
    serial: int = 0

    @property
    def final(self) -> bool:
        """Whether this is a release and no alpha, beta or candidate."""
        return self.stage == _FINAL

    def __str__(self) -> str:
        names = {number: name for name, number in _STAGES.items()}
        suffix = "" if self.final else f"{names[self.stage]}{self.serial}"
        return f"3.{self.minor}.{self.micro}{suffix}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source package: its Debian `version`, the upstream one, and its upstream tarball."""

    package: str
    version: str
    upstream: Version
    tarball: str
    size: int


def parse_version(text: str) -> Version | None:
    """Read `3.15.0`, `3.15.0rc1` or Debian's `3.15.0~rc1`; None when it is none of these."""
    match = _UPSTREAM.match(text)
    if match is None:
        return None
    minor, micro, stage, serial = match.groups()
    return Version(int(minor), int(micro), _STAGES[stage] if stage else _FINAL, int(serial or 0))


def package_names() -> list[str]:
    """The names that apt is asked about."""
    return [f"python3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1)]


def parse_showsrc(text: str) -> list[Candidate]:
    """Read what `apt-cache showsrc` prints; packages without an upstream tarball are left out."""
    found = [_candidate(stanza) for stanza in re.split(r"\n\s*\n", text)]
    return [candidate for candidate in found if candidate is not None]


def _candidate(stanza: str) -> Candidate | None:
    package = re.search(r"^Package: (\S+)$", stanza, re.MULTILINE)
    version = re.search(r"^Version: (\S+)$", stanza, re.MULTILINE)
    # A line of a checksum list: checksum, size, name. The detached signature (.asc) is another line.
    tarball = re.search(r"^ [0-9a-f]+ (\d+) (\S+\.orig\.tar\.(?:xz|gz|bz2))$", stanza, re.MULTILINE)
    if package is None or version is None or tarball is None:
        return None
    upstream = parse_version(_without_revision(version[1]))
    if upstream is None or package[1] != f"python3.{upstream.minor}":
        return None
    return Candidate(package[1], version[1], upstream, tarball[2], int(tarball[1]))


def _without_revision(debian_version: str) -> str:
    return debian_version.rpartition(":")[2].rpartition("-")[0] or debian_version


def in_order(candidates: Iterable[Candidate], pinned: Version | None = None) -> list[Candidate]:
    """The order in which *candidates* are tried: one for each upstream version, none that is too old.

    With *pinned* only that version; without it every final release comes before the first alpha.
    """
    one_each: dict[Version, Candidate] = {}
    for candidate in candidates:
        one_each.setdefault(candidate.upstream, candidate)
    if pinned is not None:
        return [one_each[pinned]] if pinned in one_each else []
    eligible = (version for version in one_each if version.minor >= OLDEST_MINOR)
    return [one_each[version] for version in sorted(eligible, key=lambda v: (v.final, v), reverse=True)]
