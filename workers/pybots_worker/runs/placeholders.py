"""Fills the placeholders in a recipe's commands, and says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pybots_worker.contract import ReportFormat, Service

INSTALL_PLACEHOLDERS = ("python", "source", "uv")
COMMAND_PLACEHOLDERS = ("python", "source", "report", "deselect")
ENVIRONMENT_PLACEHOLDERS = ("python", "source", "report")
SERVICE_PLACEHOLDERS = ("python", "source", "service")
SERVICE_INSTALL_PLACEHOLDERS = ("python", "source", "service", "uv")
DESELECT = "{deselect}"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(arguments: Sequence[str], values: Mapping[str, str], deselected: Sequence[str] = ()) -> list[str]:
    """Fill an argument list. An argument that is exactly `{deselect}` becomes pytest's options."""
    filled: list[str] = []
    for argument in arguments:
        if argument == DESELECT:
            filled += [f"--deselect={test}" for test in deselected]
        else:
            filled.append(fill_text(argument, values))
    return filled


def fill_text(text: str, values: Mapping[str, str]) -> str:
    """Fill one text; what is not a placeholder of ours stays as it is."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def problems(
    *,
    install: Iterable[Sequence[str]],
    command: Sequence[str],
    environment: Mapping[str, str],
    report: ReportFormat,
    deselected: Sequence[str],
    service: Service | None = None,
) -> list[str]:
    """List what is wrong with the placeholders of a recipe; empty where nothing is."""
    found: list[str] = []
    for step in install:
        found += _unknown(step, INSTALL_PLACEHOLDERS, "an install step")
    found += _unknown(command, COMMAND_PLACEHOLDERS, "the test command")
    found += _unknown(environment.values(), ENVIRONMENT_PLACEHOLDERS, "the environment")
    if service:
        for step in service.install:
            found += _unknown(step, SERVICE_INSTALL_PLACEHOLDERS, "a step of the service")
        found += _unknown([*service.start, *service.ready], SERVICE_PLACEHOLDERS, "the service")
    found += [
        f"{DESELECT} becomes several options: it has to be an argument of its own, not a part of {argument!r}"
        for argument in command
        if DESELECT in argument and argument != DESELECT
    ]
    if report is ReportFormat.JUNIT and not _mentions([*command, *environment.values()], "{report}"):
        found.append("a junit report is written to {report}; the test command does not name it")
    if report is ReportFormat.JUNIT and deselected and DESELECT not in command:
        found.append("tests are deselected, but the test command has no {deselect}")
    return found


def _unknown(arguments: Iterable[str], known: Sequence[str], where: str) -> list[str]:
    names = [name for argument in arguments for name in _PLACEHOLDER.findall(argument)]
    listed = ", ".join(f"{{{name}}}" for name in known)
    return [
        f"{where} has the unknown placeholder {{{name}}}; it may use {listed}"
        for name in names
        if name not in known
    ]


def _mentions(arguments: Iterable[str], text: str) -> bool:
    return any(text in argument for argument in arguments)
