"""Talks to this machine: which platform it is."""

from __future__ import annotations

import platform

_SYSTEMS = {"darwin": "macos"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def platform_here() -> str:
    """Return this machine's platform, as a worker's is written: `linux-x86_64-glibc`, `macos-aarch64`."""
    system = platform.system().lower()
    machine = platform.machine().lower()
    parts = [_SYSTEMS.get(system, system), _MACHINES.get(machine, machine)]
    if system == "linux":
        parts.append("glibc" if platform.libc_ver()[0] == "glibc" else "musl")
    return "-".join(parts)
