"""Runs the project's test suite under its limits."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from pathlib import Path

from pybots_worker.contract import Ending, ReportFormat
from pybots_worker.processes import Finished, run_limited
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import fill

CANNOT_START = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
        *(errno.ENAMETOOLONG, errno.E2BIG, errno.EINVAL, errno.ETXTBSY),
    }
)
"""What is wrong with a command, and not with this machine."""


def run_suite(place: Place) -> Finished:
    """Run the suite. Raises RunEndedError where it cannot be started at all."""
    specification = place.specification
    limits = specification.limits
    (place.work / "deselected.json").write_text(json.dumps(specification.deselected))
    command = fill(specification.command, place.values(), specification.deselected)
    source = os.path.realpath(place.source)
    directory = Path(os.path.realpath(place.source / specification.directory))  # of links in a circle too
    if not directory.is_relative_to(source) or not directory.is_dir():
        detail = f"the source has no folder {specification.directory!r} to run the suite in"
        raise RunEndedError(Ending.INSTALL_FAILED, detail)
    place.log.write(f"\n$ {' '.join(command)[:2000]}\n".encode())
    try:
        return run_limited(
            command,
            cwd=directory,
            environment=place.suite_environment(),
            log=place.log,
            wall_seconds=limits.wall_seconds,
            quiet_seconds=limits.quiet_seconds,
            stdout_to=place.report if specification.report is ReportFormat.SUBUNIT else None,
            stdout_bytes=limits.report_bytes,
        )
    except OSError as error:
        if error.errno not in CANNOT_START:
            raise
        detail = f"the test command cannot be started: {command[0]}: {error.strerror}"
        raise RunEndedError(Ending.INSTALL_FAILED, detail) from error


def bound_report(place: Place) -> tuple[bool, bool]:
    """Cut the report to its limit; returns whether there is one, and whether it was cut."""
    try:
        found = place.report.lstat()
    except FileNotFoundError:
        return False, False
    if not stat.S_ISREG(found.st_mode):  # a link to something of ours must not be sent
        shutil.rmtree(place.report) if stat.S_ISDIR(found.st_mode) else place.report.unlink()
        return False, False
    limit = place.specification.limits.report_bytes
    if found.st_size > limit:
        os.truncate(place.report, limit)
    return True, found.st_size > limit
