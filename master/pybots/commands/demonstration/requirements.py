"""Decides which system packages a CPython build lacks, and which one command installs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Installer(StrEnum):
    """A system's package installer."""

    APT = "apt-get"
    DNF = "dnf"
    PACMAN = "pacman"
    BREW = "brew"


class Kind(StrEnum):
    """How a need is looked for."""

    PROGRAM = "program"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a build uses, and what provides it (installer -> package; absent: nothing to install).

    Without a `wanted` thing everything still works, slower or with less separation.
    """

    name: str
    kind: Kind
    packages: Mapping[Installer, str]
    what_for: str
    wanted: bool = False
    pkg_config: str = ""
    """The library's name for pkg-config, where its header may lie outside of the compiler's own path."""


def _need(name: str, what_for: str, packages: str, *, wanted: bool = False, pkg_config: str = "") -> Need:
    """One row: *packages* are those of each installer in order, `-` where there is none to install."""
    names = zip(Installer, packages.split(), strict=True)
    kind = Kind.HEADER if name.endswith(".h") else Kind.PROGRAM
    by_installer = {installer: package for installer, package in names if package != "-"}
    return Need(name, kind, by_installer, what_for, wanted, pkg_config)


NEEDS = (
    _need("cc", "compiling", "gcc gcc gcc -"),
    _need("make", "compiling", "make make make -"),
    _need("git", "following commits", "git git git git"),
    _need("pkg-config", "finding libraries", "pkg-config pkgconf pkgconf pkgconf"),
    _need("stdlib.h", "compiling", "libc6-dev glibc-devel glibc -"),
    _need(
        "openssl/ssl.h", "ssl, hashlib", "libssl-dev openssl-devel openssl openssl@3", pkg_config="openssl"
    ),
    _need("sqlite3.h", "sqlite3", "libsqlite3-dev sqlite-devel sqlite sqlite", pkg_config="sqlite3"),
    _need("ffi.h", "ctypes", "libffi-dev libffi-devel libffi libffi", pkg_config="libffi"),
    _need("zlib.h", "zlib", "zlib1g-dev zlib-devel zlib zlib", pkg_config="zlib"),
    _need("bzlib.h", "bz2", "libbz2-dev bzip2-devel bzip2 bzip2"),
    _need("lzma.h", "lzma", "liblzma-dev xz-devel xz xz", pkg_config="liblzma"),
    _need("readline/readline.h", "readline", "libreadline-dev readline-devel readline readline"),
    _need("ncurses.h", "curses", "libncurses-dev ncurses-devel ncurses ncurses", pkg_config="ncursesw"),
    _need("uuid/uuid.h", "uuid", "uuid-dev libuuid-devel util-linux-libs -", pkg_config="uuid"),
    _need("gdbm.h", "dbm.gnu", "libgdbm-dev gdbm-devel gdbm gdbm", wanted=True),
    _need(
        "yaml.h",
        "the extension of PyYAML",
        "libyaml-dev libyaml-devel libyaml libyaml",
        wanted=True,
        pkg_config="yaml-0.1",
    ),
    _need("ccache", "compiling again faster", "ccache ccache ccache ccache", wanted=True),
    _need("bwrap", "shutting suites in", "bubblewrap bubblewrap bubblewrap -", wanted=True),
)

_INSTALL = {
    Installer.APT: "apt-get install --yes --no-install-recommends",
    Installer.DNF: "dnf install --assumeyes",
    Installer.PACMAN: "pacman --sync --needed --noconfirm",
    Installer.BREW: "brew install",
}


def packages_for(needs: Iterable[Need], installer: Installer) -> list[str]:
    """The packages that provide *needs*, each once, in order."""
    return list(dict.fromkeys(need.packages[installer] for need in needs if installer in need.packages))


def install_command(packages: Iterable[str], installer: Installer, *, root: bool) -> str:
    """The one line that a person types; brew never takes root's rights."""
    sudo = "" if root or installer is Installer.BREW else "sudo "
    names = " ".join(packages)
    if installer is Installer.APT:
        return f"{sudo}apt-get update && {sudo}{_INSTALL[installer]} {names}"
    return f"{sudo}{_INSTALL[installer]} {names}"


def explain(missing: Sequence[Need], installer: Installer | None, *, root: bool) -> str:
    """What is missing and what for, and the one command that installs it."""
    lines = ["This machine lacks what a CPython build needs:"]
    lines += [f"  {need.name} ({need.what_for})" for need in missing]
    if installer is None:
        lines.append("Install them with your system's package installer, and run the command again.")
    elif packages := packages_for(missing, installer):
        lines += ["Install it with", "", f"  {install_command(packages, installer, root=root)}", ""]
    if installer is Installer.BREW and any(need.name in {"cc", "make", "stdlib.h"} for need in missing):
        lines.append("The compiler comes with: xcode-select --install")
    return "\n".join(lines)
