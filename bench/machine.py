"""Talks to the machine about what it is and how busy it is, for whoever reads a figure later."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

LIBRARIES = ("buildbot", "twisted", "sqlalchemy")


def machine() -> dict[str, Any]:
    """Return what stays the same while a bench runs."""
    return {
        "cores": os.cpu_count(),
        "may_use": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "cpython": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in LIBRARIES},
    }


def moment() -> dict[str, Any]:
    """Return the time, and the load average of the last minute: above a few tenths the machine was not quiet."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 2)}
