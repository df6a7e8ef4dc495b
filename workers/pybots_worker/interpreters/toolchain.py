"""Decides with which compiler and in which environment interpreters are built."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH"),
    *("CC", "CXX", "CPPFLAGS", "CFLAGS", "LDFLAGS", "CCACHE_DIR", "CCACHE_MAXSIZE", "CCACHE_DISABLE"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK"),
)
"""What the operator may decide; nothing else of our environment reaches a build."""
_FLAGS = ("CC", "CXX", "CPPFLAGS", "CFLAGS", "LDFLAGS", "PKG_CONFIG_PATH")
_ANSWER_SECONDS = 60
_COMPILERS = ("gcc", "g++", "cc", "c++", "clang", "clang++")
_EPOCH = "1577836800"
"""2020-01-01: the date that `sys.version` shows, the same for every build; zip files cannot be older than 1980."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The environment of every build command, and one line that changes when the compiler does."""

    environment: Mapping[str, str]
    compiler: str
    masquerade: str = ""
    """The folder on PATH in which the compilers are ccache; empty without ccache."""

    def without_ccache(self) -> Mapping[str, str]:
        """Return the environment for builds in which ccache must have no part."""
        folders = self.environment["PATH"].split(os.pathsep)
        path = os.pathsep.join(folder for folder in folders if folder != self.masquerade)
        return {**self.environment, "PATH": path, "CCACHE_DISABLE": "1"}


def find_toolchain(cache: Path, temporary: Path) -> Toolchain:
    """Look for the compiler, and for ccache to put before it; `temporary` is the build's TMPDIR."""
    environment = {**build_environment(os.environ), "TMPDIR": str(temporary)}
    flags = [f"{name}={environment[name]}" for name in _FLAGS if name in environment]
    compiler = " ".join([_version(environment), *flags])
    ccache = shutil.which("ccache")
    if not ccache:
        return Toolchain(environment, compiler)
    masquerade = str(_masquerade(Path(ccache), cache.absolute() / "compilers"))
    environment["PATH"] = f"{masquerade}{os.pathsep}{environment['PATH']}"
    environment.setdefault("CCACHE_DIR", str(cache.absolute() / "ccache"))
    environment.setdefault("CCACHE_MAXSIZE", "5G")
    return Toolchain(environment, compiler, masquerade)


def build_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return what a build may see of our environment, with all that makes two builds differ set."""
    kept = {name: ours[name] for name in _KEPT if ours.get(name)}
    return {
        "PATH": os.defpath,
        **kept,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": _EPOCH,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _masquerade(ccache: Path, folder: Path) -> Path:
    """A folder in which `gcc` is ccache.

    With `CC="ccache gcc"` the installed interpreter would ask every machine that builds an extension for ccache.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _COMPILERS:
        link = folder / name
        if shutil.which(name) and not link.is_symlink():
            link.symlink_to(ccache)
    return folder


def ask_version(program: str, environment: Mapping[str, str]) -> str:
    """Return what a program prints for `--version`; an empty text where there is no such program."""
    found = shutil.which(program, path=environment["PATH"])
    if found is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [found, "--version"],
            env=dict(environment),
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
        return done.stdout.decode(errors="replace")
    return ""


def _version(environment: Mapping[str, str]) -> str:
    command = shlex.split(environment.get("CC", "")) or ["gcc" if shutil.which("gcc") else "cc"]
    try:
        done = subprocess.run(
            [*command, "--version"],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return (done.stdout.splitlines() or ["unknown"])[0]
