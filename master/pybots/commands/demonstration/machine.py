"""Talks to this machine: what a CPython build would find on it, and its package installer."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pybots.commands.demonstration.requirements import (
    NEEDS,
    Installer,
    Kind,
    Need,
    explain,
    packages_for,
)
from pybots_worker.sandbox.machine import grants
from pybots_worker.sandbox.words import refusal

CHECK_SECONDS = 20.0
INSTALL_SECONDS = 900.0


class MachineUnfitError(Exception):
    """Something that a build needs is missing; the message names the command that installs it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's exit status (None: it could not be started, or had no end in time) and what it printed."""

    status: int | None
    output: str


def call(command: Sequence[str], seconds: float, text: str = "") -> Outcome:
    """Run *command* with *text* as its input, without questions."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            input=text,
            env=environment,
            timeout=seconds,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, f"{command[0]} had no end within {seconds:.0f} s")
    except OSError as error:
        return Outcome(None, f"{command[0]} cannot be started: {error.strerror}")
    return Outcome(done.returncode, done.stdout)


def missing(needs: Sequence[Need] = NEEDS) -> list[Need]:
    """Of *needs*, what is not here. Without a compiler every header counts as missing."""
    return [need for need in needs if not _is_here(need)]


def _is_here(need: Need) -> bool:
    if need.kind is Kind.PROGRAM:
        return shutil.which(need.name) is not None or (
            need.name == "pkg-config" and bool(shutil.which("pkgconf"))
        )
    # readline's header uses FILE without including what declares it.
    snippet = f"#include <stdio.h>\n#include <{need.name}>\n"
    return call(["cc", *_flags(need), "-E", "-x", "c", "-"], CHECK_SECONDS, snippet).status == 0


def _flags(need: Need) -> list[str]:
    if not need.pkg_config:
        return []
    answer = call(["pkg-config", "--cflags-only-I", need.pkg_config], CHECK_SECONDS)
    return answer.output.split() if answer.status == 0 else []


def installer_here() -> Installer | None:
    """The first package installer that this system has."""
    return next((installer for installer in Installer if shutil.which(installer.value)), None)


def make_fit(say: Callable[[str], None], *, install: bool) -> list[str]:
    """See that what a build needs is here, and install it where that is allowed; return what was installed.

    Only apt is ever run, as root or with a sudo that asks nothing. Raises MachineUnfitError, with the command
    that a person can run, when something needed is missing afterwards.
    """
    lacking = missing()
    if not lacking:
        return []
    installer, rights = installer_here(), _rights()
    installed: list[str] = []
    problem = ""
    if install and installer is Installer.APT and rights is not None:
        installed = packages_for(lacking, installer)
        say(f"installing {' '.join(installed)}")
        problem = _apt_install(rights, installed)
        lacking = missing()
    needed = [need for need in lacking if not need.wanted]
    if needed:
        raise MachineUnfitError(explain(needed, installer, root=os.geteuid() == 0) + problem)
    for need in lacking:
        say(f"going on without {need.name} ({need.what_for})")
    return installed


def raise_without_sandbox(*, allowed: bool) -> None:
    """Raise MachineUnfitError where no sandbox works here, and nobody allowed suites to run without."""
    lack = grants().lack
    if lack and not allowed:
        raise MachineUnfitError(refusal(lack))


def _rights() -> list[str] | None:
    """What comes before a command that needs root's rights; None when there is no way without a question."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and call(["sudo", "-n", "true"], CHECK_SECONDS).status == 0:
        return ["sudo", "-n"]
    return None


def _apt_install(rights: list[str], packages: list[str]) -> str:
    """Install; return why it did not work, or nothing. One unknown package must not stop the rest."""
    # sudo drops the environment, so that the wish for no questions is said again behind it.
    apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    options = ["install", "--yes", "--no-install-recommends"]
    call([*apt, "update"], INSTALL_SECONDS)
    together = call([*apt, *options, *packages], INSTALL_SECONDS)
    if together.status == 0:
        return ""
    alone = [call([*apt, *options, package], INSTALL_SECONDS) for package in packages]
    failures = [outcome.output for outcome in alone if outcome.status != 0]
    return "\napt-get said: " + failures[-1].strip()[-500:] if failures else ""
