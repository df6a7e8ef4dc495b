"""Runs the project's test suite under its limits."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pybots_worker.contract import REPORT_FILE, Ending, ReportFormat
from pybots_worker.processes import Finished, run_limited
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import fill
from pybots_worker.runs.service import beside_service

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
    command = fill(specification.command, place.values(), specification.deselected)
    source = os.path.realpath(place.source)
    named = specification.directory.replace("\0", "?")
    directory = Path(os.path.realpath(place.source / named))  # of links in a circle too
    if not directory.is_relative_to(source) or not os.path.isdir(directory):  # noqa: PTH112  (never raises)
        detail = f"the source has no folder {specification.directory!r} to run the suite in"
        raise RunEndedError(Ending.INSTALL_FAILED, detail)
    environment = place.suite_environment()
    place.log.say(f"\n$ {' '.join(command)[:2000]}\n")
    try:
        return run_limited(
            beside_service(place, command),
            cwd=directory,
            environment=environment,
            log=place.log,
            wall_seconds=limits.wall_seconds,
            quiet_seconds=limits.quiet_seconds,
            # In a folder that the project cannot write to: a link there would lead us astray.
            stdout_to=_final(place) if specification.report is ReportFormat.SUBUNIT else None,
            stdout_bytes=limits.report_bytes,
            bounds=place.bounds(environment, network=specification.network),
        )
    except OSError as error:
        if error.errno not in CANNOT_START:
            raise
        detail = f"the test command cannot be started: {command[0]}: {error.strerror}"
        raise RunEndedError(Ending.INSTALL_FAILED, detail) from error


def bound_report(place: Place) -> tuple[bool, bool]:
    """Put the report beside the result, cut to its limit; returns whether there is one, and whether it was cut.

    The suite is dead; what it left in place of a report may be a link, or have another name (a hard link).
    """
    final = _final(place)
    limit = place.specification.limits.report_bytes
    try:
        if place.specification.report is not ReportFormat.SUBUNIT:
            found = os.lstat(place.report)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                return False, False
            place.report.rename(final)
        size = final.lstat().st_size
    except OSError:
        return False, False
    if size > limit:
        os.truncate(final, limit)
    return True, size > limit


def _final(place: Place) -> Path:
    return place.folder / REPORT_FILE
