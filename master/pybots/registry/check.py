"""Decides whether what a recipe says makes sense, beyond its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from pybots.config.problems import nearest
from pybots.config.toml_keys import quoted
from pybots.config.toml_lines import KeyPath
from pybots.registry.recipe import Recipe
from pybots_worker.contract import ReportFormat

COMMAND_PLACEHOLDERS = ("python", "source", "report", "deselect")
INSTALL_PLACEHOLDERS = ("python", "source", "uv")
ENVIRONMENT_PLACEHOLDERS = ("python", "source", "report")
SERVICE_PLACEHOLDERS = ("python", "source", "service")
SERVICE_INSTALL_PLACEHOLDERS = ("python", "source", "service", "uv")
"""What the worker fills in (`pybots_worker.runs.placeholders`; a test holds the two together)."""
DESELECTED_BY = {
    ReportFormat.JUNIT: ("{deselect}", "add the argument {deselect} to the command"),
    ReportFormat.SUBUNIT: ("pybots_trial", "run trial as {python} -m pybots_trial"),
    ReportFormat.UNITTEST: ("pybots_unittest", "run unittest as {python} -m pybots_unittest"),
}
"""What a command must hold for tests to be deselected. Django's runner is named in its settings."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_CONTACT = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,255}\Z")

Finding = tuple[KeyPath, str, str]
"""The key to blame, what is wrong with it, and what to do."""


def findings(recipe: Recipe) -> list[Finding]:
    """Return everything in *recipe* that has the right shape and makes no sense."""
    return [
        *_unprintable(recipe.model_dump(mode="json"), ()),
        *_project(recipe),
        *_source(recipe),
        *_install(recipe),
        *_command(recipe),
        *_service(recipe),
        *_deselection(recipe),
        *_expectations(recipe),
        *_limits(recipe),
    ]


def _unprintable(value: object, path: KeyPath) -> Iterator[Finding]:
    """No program takes an argument, and no file system a name, with a NUL in it."""
    if isinstance(value, str) and "\0" in value:
        yield path, f"{quoted(str(path[-1]))} holds a NUL character", "leave it out"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unprintable(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unprintable(item, (*path, index))


def _project(recipe: Recipe) -> Iterator[Finding]:
    url = recipe.project.url
    if url and not url.startswith(("https://", "http://")):
        yield ("project", "url"), f"{url[:60]!r} is not a web address", "begin it with https://"
    for index, contact in enumerate(recipe.project.contacts):
        if not _CONTACT.match(contact):
            path: KeyPath = ("project", "contacts", index)
            yield path, f"{contact[:60]!r} is not an e-mail address", "write name@example.org, nothing else"


def _source(recipe: Recipe) -> Iterator[Finding]:
    source = recipe.source
    if source.pypi and not _NAME.match(source.pypi):
        yield ("source", "pypi"), f"{source.pypi[:60]!r} is not a project's name", "give the name alone"
    if source.version:
        try:
            Version(source.version)
        except InvalidVersion:
            yield ("source", "version"), f"{source.version[:60]!r} is not a version", "write it like 2.1.0"
    for key in ("git", "ref"):
        # git would take it for an option.
        if getattr(source, key).startswith("-"):
            yield ("source", key), f"{key} begins with a hyphen", "correct it"


def _install(recipe: Recipe) -> Iterator[Finding]:
    install = recipe.install
    for index, requirement in enumerate(install.requirements):
        try:
            Requirement(requirement)
        except InvalidRequirement as error:
            reason = str(error).split("\n", maxsplit=1)[0]
            what = f"{requirement[:60]!r} is not a requirement: {reason}"
            yield ("install", "requirements", index), what, "write it like pytest>=8; options are not taken"
    for key in ("extras", "groups"):
        for index, name in enumerate(getattr(install, key)):
            if not _NAME.match(name):
                yield ("install", key, index), f"{name[:60]!r} is not a name", "give the name alone"
    for key in ("requirements", "extras", "groups"):
        if install.steps is not None and getattr(install, key):
            what = f"steps replace the usual way, so that {key} would not be installed"
            yield ("install", key), what, "install them in a step, or leave steps out"
    for index, step in enumerate(install.steps or []):
        yield from _placeholders(step, ("install", "steps", index), INSTALL_PLACEHOLDERS)
    yield from _variables(install.environment, "install")


def _command(recipe: Recipe) -> Iterator[Finding]:
    test = recipe.test
    yield from _placeholders(test.command, ("test", "command"), COMMAND_PLACEHOLDERS)
    yield from _variables(test.environment, "test")
    everywhere = [*test.command, *test.environment.values()]
    if test.report is ReportFormat.JUNIT and not any("{report}" in text for text in everywhere):
        what = "the command does not say where the report goes"
        yield ("test", "command"), what, "add {report} to it, as in --junitxml={report}"
    directory = PurePosixPath(test.directory)
    if directory.is_absolute() or ".." in directory.parts:
        yield ("test", "directory"), "the directory is outside of the source", "give a path below {source}"


def _service(recipe: Recipe) -> Iterator[Finding]:
    service = recipe.service
    if service is None:
        return
    for index, step in enumerate(service.install):
        yield from _placeholders(step, ("service", "install", index), SERVICE_INSTALL_PLACEHOLDERS)
    yield from _placeholders(service.start, ("service", "start"), SERVICE_PLACEHOLDERS)
    yield from _placeholders(service.ready, ("service", "ready"), SERVICE_PLACEHOLDERS)


def _placeholders(command: Sequence[str], path: KeyPath, known: Sequence[str]) -> Iterator[Finding]:
    for index, argument in enumerate(command):
        yield from _unknown(argument, (*path, index), known)
        if "{deselect}" in argument and argument != "{deselect}":
            what = "{deselect} stands for several arguments"
            yield (*path, index), what, "make it an argument of its own"
    if not command[0]:
        yield (*path, 0), "the program to run is empty", "begin the command with {python}"


def _unknown(text: str, path: KeyPath, known: Sequence[str]) -> Iterator[Finding]:
    for match in _PLACEHOLDER.finditer(text):
        name = match[1]
        if name not in known:
            near = nearest(name, known)
            every = ", ".join(f"{{{item}}}" for item in known)
            hint = f"did you mean {{{near}}}?" if near else f"known here: {every}"
            yield path, f"unknown placeholder {{{name[:60]}}}", hint


def _variables(environment: Mapping[str, str], table: str) -> Iterator[Finding]:
    for name, value in environment.items():
        yield from _unknown(value, (table, "environment", name), ENVIRONMENT_PLACEHOLDERS)
        if not _VARIABLE.match(name):
            what = f"{quoted(name)} is not the name of an environment variable"
            yield (table, "environment", name), what, "letters, digits and _, not beginning with a digit"
        elif name.startswith("PYBOTS_"):
            yield (table, "environment", name), f"{quoted(name)} is Pybots' own", "choose another name"


def _deselection(recipe: Recipe) -> Iterator[Finding]:
    sign, hint = DESELECTED_BY.get(recipe.test.report, ("", ""))
    if recipe.deselect and not any(sign in argument for argument in recipe.test.command):
        yield ("deselect",), "nothing would be deselected: the command does not see the list", hint
    if recipe.test.report is not ReportFormat.JUNIT and "{deselect}" in recipe.test.command:
        index = recipe.test.command.index("{deselect}")
        what = "{deselect} stands for pytest's options, and this report is not pytest's"
        yield ("test", "command", index), what, "leave it out"
    seen: set[str] = set()
    for number, group in enumerate(recipe.deselect):
        for index, test in enumerate(group.tests):
            if not test or test in seen:
                what = f"{test[:200]!r} is deselected twice" if test else "a test without a name"
                yield ("deselect", number, "tests", index), what, "leave it out here"
            seen.add(test)


def _expectations(recipe: Recipe) -> Iterator[Finding]:
    deselected = {test for group in recipe.deselect for test in group.tests}
    seen: set[str] = set()
    for number, group in enumerate(recipe.expected_failure):
        for index, test in enumerate(group.tests):
            path: KeyPath = ("expected_failure", number, "tests", index)
            if not test or test in seen:
                what = f"{test[:200]!r} is expected to fail twice" if test else "a test without a name"
                yield path, what, "leave it out here"
            elif test in deselected:
                what = f"{test[:200]!r} is deselected, so that it is not run"
                yield path, what, "leave it out here, or in [[deselect]]"
            seen.add(test)


def _limits(recipe: Recipe) -> Iterator[Finding]:
    limits = recipe.limits
    if limits.quiet_seconds > limits.wall_seconds and "quiet_seconds" in limits.model_fields_set:
        what = "quiet_seconds is longer than wall_seconds, so it never counts"
        yield ("limits", "quiet_seconds"), what, "make it shorter, or leave it out"
