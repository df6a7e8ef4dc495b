"""Decides what to say of a sandbox that does not work, and of limits that were met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_APPARMOR = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
_USER_NAMESPACES = "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000"
_DOCKER = "docker run " + " ".join(
    f"--security-opt {what}=unconfined" for what in ("seccomp", "apparmor", "systempaths")
)
_MENDED_BY = (
    ("uid map: Permission denied", _APPARMOR),
    ("RTM_NEWADDR", _APPARMOR),
    ("mount proc", _DOCKER),
    ("Failed to make / slave", _DOCKER),
    ("Creating new namespace failed", _USER_NAMESPACES),
    ("No permissions to creat", _USER_NAMESPACES),
    ("unshare user ns", _USER_NAMESPACES),
)
INSTALL = "install bubblewrap 0.8 or newer"
ALLOW = "--run-projects-without-a-sandbox"


@dataclass(frozen=True, slots=True)
class Lack:
    """Why there is no sandbox here, and the one command that mends it; empty where it is to be installed."""

    reason: str
    mend: str = ""


def lack_of(said: str, *, missing: bool = False) -> Lack:
    """Return what is lacking, from what bubblewrap complained of."""
    if missing:
        return Lack("bubblewrap is missing")
    if "it has no --" in said:
        return Lack(f"bubblewrap is older than 0.8: {said}")
    mend = next((command for part, command in _MENDED_BY if part in said), _USER_NAMESPACES)
    return Lack(f"bubblewrap does not work: {said.removeprefix('bwrap: ')}", mend)


def refusal(lack: Lack) -> str:
    """Say why this machine takes no runs, and what its owner can do."""
    mend = f"mend it with `{lack.mend}`" if lack.mend else INSTALL
    return f"this machine has no sandbox: {lack.reason}; {mend}, or allow it with {ALLOW}"


def left_running(names: Sequence[str], count: int) -> str:
    """Say what was still there when the program had ended: `left 2 processes running: python3.13, sleep`."""
    if not count:
        return ""
    listed = [name if times == 1 else f"{name} ({times} times)" for name, times in Counter(names).items()]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    what = "process" if count == 1 else "processes"
    return f"it left {count} {what} running: {', '.join(listed)}{more}"
