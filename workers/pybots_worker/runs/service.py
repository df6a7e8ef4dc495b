"""Installs the service that a suite needs, runs the suite beside it, and reads why it was not there."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pybots_worker.contract import REPORT_FILE, Ending
from pybots_worker.runs.phases import Phases, RunEndedError, one_line
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import fill
from pybots_worker.runs.steps import StepFailedError, ended, run_step
from pybots_worker.sandbox.machine import own_python

WRAPPER = "pybots_service.py"
REASON_BYTES = 2000


def install_service(place: Place, phases: Phases) -> None:
    """Run the service's own steps, with the network; nothing where there are none.

    Raises RunEndedError(`environment-failed`): a service is something that the suite depends on.
    """
    service = place.specification.service
    if service is None:
        return
    values = _values(place)
    environment = place.install_environment(place.work / "uv")
    with phases.run("install service"):
        place.empty(_folder(place).name)
        for step in service.install:
            command = fill(step, values)
            what = f"the service's step `{' '.join(command)[:120]}`"
            try:
                run_step(place, what, command, environment, cwd=place.source, network=True)
            except StepFailedError as error:
                raise ended(Ending.ENVIRONMENT_FAILED, error) from error
            except OSError as error:
                detail = f"{what} cannot be started: {error.strerror}"
                raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail) from error


def beside_service(place: Place, command: Sequence[str]) -> list[str]:
    """Return what runs the suite's command beside its service, in the same sandbox; the command itself without one."""
    service = place.specification.service
    if service is None:
        return [*command]
    with contextlib.suppress(OSError):
        _reason(place).unlink()
    values = _values(place)
    plan = {
        "start": fill(service.start, values),
        "ready": fill(service.ready, values),
        "suite": [*command],
        "seconds": service.seconds,
        "failure": str(_reason(place)),
    }
    return [str(own_python()), "-I", "-S", str(place.under_test / WRAPPER), json.dumps(plan)]


def service_failure(place: Place) -> str:
    """Say why the service was not there, and drop the report: its failures are no test's. Empty where it was."""
    if place.specification.service is None:
        return ""
    reason = _read(_reason(place))
    if not reason:
        return ""
    for report in (place.report, place.folder / REPORT_FILE):
        with contextlib.suppress(OSError):
            report.unlink()
    return one_line(f"the service that the suite needs {reason}")


def _folder(place: Place) -> Path:
    return place.work / "service"


def _reason(place: Place) -> Path:
    return place.work / "service-failure"


def _values(place: Place) -> dict[str, str]:
    return place.values() | {"service": str(_folder(place))}


def _read(path: Path) -> str:
    """Read a short file that the project could have put something else in place of."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(descriptor, "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(REASON_BYTES).decode("utf-8", "replace")
