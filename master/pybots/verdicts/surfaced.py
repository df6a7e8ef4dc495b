"""Decides whose code raised (project, dependency, standard library, native), and how that is said."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from pybots.verdicts.verdict import Cause


class Place(StrEnum):
    """Whose code it is (`tables.VerdictRow.surfaced`)."""

    PROJECT = "project"
    DEPENDENCY = "dependency"
    STANDARD_LIBRARY = "standard-library"
    NATIVE = "native"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Surfaced:
    """Where a failure surfaced."""

    place: Place = Place.UNKNOWN
    name: str = ""
    """The distribution, the module of the standard library, the native library; empty for the project itself."""
    refused: str = ""
    """The file that could not be compiled, where that is what failed."""


NOWHERE = Surfaced()

PASSED_THROUGH = (
    "_pytest",
    "pytest",
    "pluggy",
    "py",
    "xdist",
    "unittest",
    "twisted.trial",
    "testtools",
    "runpy",
    "importlib.__init__",
    "importlib._bootstrap",
    "importlib._bootstrap_external",
)
"""Modules that run tests, or import what is asked for: every traceback passes there, and few belong there."""
# What is refused there is wrong by itself, in whatever version; a word that became a keyword was right.
_OWN_BUG = re.compile(r"literal|token|escape|character|digit|leading zeros|encoding|tabs and spaces")

_FRAME = re.compile(
    r"""^[ \t]{0,80}(?:File\ "(?P<file>[^"\n]{1,1000})",\ line\ (?P<line>\d+)(?P<in>,\ in\ [^\n]{1,300})?"""
    r"""|(?P<file2>[^\s:"][^:"\n]{0,1000}\.pyx?):(?P<line2>\d+):(?P<in2>\ ?(?:in\ [^\n]{1,300}|[A-Za-z_]\w*)?))""",
    re.MULTILINE | re.VERBOSE,
)
_INSTALLED = re.compile(r"(?:^|/)(?:site-packages|dist-packages)/(?P<rest>.+)$")
_STANDARD = re.compile(r"(?:^|/)lib(?:64)?/python3\.\d+t?/(?P<rest>.+)$|^<frozen (?P<frozen>[\w.]+)>$")
_NATIVE_FRAME = re.compile(r"(?P<library>[^\s/()\[\]]+\.(?:so|pyd|dylib)(?:\.[\w.]+)?)(?P<function>[^\n]*)")
_SYNTAX_LINE = re.compile(
    r"^(?:E[ ]{1,8})?[ ]{0,8}(?:SyntaxError|IndentationError|TabError)(?::[ ]?(?P<message>[^\n]*))?$",
    re.MULTILINE,
)
_PYTEST_SAYS = re.compile(r"^E(?=[ \t])", re.MULTILINE)
_EXTENSION = re.compile(r"^(?P<module>\w+)(?:\.(?:cpython|abi3)[\w.-]*)?\.(?:so|pyd)$")
# Frames of whoever kills a process, and of what reports that: the one at fault lies further out.
_OF_CRASHES = ("libc.so", "libpthread", "linux-vdso", "ld-linux", "libasan", "libubsan")


def surfaced(
    traceback: str,
    *,
    project: str,
    top_levels: Mapping[str, str],
    native_stack: str = "",
    own: Collection[str] = (),
) -> Surfaced:
    """Return whose code raised, from the innermost frame that is not the test runner's own.

    *top_levels*: what can be imported in the run, by its first name, and the distribution that brought it
    (`contract.RunResult`). *native_stack*: of a crash, innermost first. *own*: distributions that are the project,
    whatever the recipe calls it.
    """
    brought = _by_others(top_levels, {project, *own})
    if native_stack:
        return _native(native_stack, brought)
    refused = refused_file(traceback)
    if refused:
        return _owner(refused, brought, refused=PurePosixPath(_slashes(refused)).name)
    files = [_slashes(match["file"] or match["file2"]) for match in _frames(traceback)]
    beyond = [file for file in files if not _passed_through(file)]
    # Where nothing else is in it, the error is the runner's own.
    innermost = (beyond or files)[-1:]
    return _owner(innermost[0], brought) if innermost else Surfaced()


def refused_file(traceback: str) -> str:
    """Return the file that could not be compiled, or an empty text where something else is wrong."""
    return _not_compiled(traceback)[0]


def fails_in(where: Surfaced, project: str) -> str:
    """Return where it fails, for people.

    >>> fails_in(Surfaced(Place.DEPENDENCY, "PyCrypto"), "Twisted")
    'Fails in PyCrypto, under Twisted'
    """
    match where.place:
        case Place.DEPENDENCY:
            return f"Fails in {where.name}, under {project}"
        case Place.STANDARD_LIBRARY:
            return f"Fails in the standard library's {where.name}, under {project}"
        case Place.NATIVE:
            return f"Fails in native code ({where.name}), under {project}"
        case Place.PROJECT:
            return f"Fails in {project} itself"
        case Place.UNKNOWN:
            return f"Fails under {project}"


def wording(where: Surfaced, project: str, cause: Cause, traceback: str = "") -> str:
    """Return one or two sentences: where it surfaced, and what that says of whose bug it is.

    A change in the interpreter may only bring to light what was wrong before: then both are said.
    """
    said = f"{fails_in(where, project)}."
    if cause is not Cause.INTERPRETER or not where.refused:
        return said
    owner = where.name or "the project"
    code = f"{where.refused} is {owner}'s own code"
    _, message = _not_compiled(traceback)
    if _OWN_BUG.search(message):
        return f"{said} {code}, and its own bug, brought to light by the interpreter, which refuses it now."
    return f"{said} {code}; a change in the interpreter is why it is refused now."


def _frames(traceback: str) -> list[re.Match[str]]:
    # pytest marks the lines of what was raised with an E.
    return list(_FRAME.finditer(_PYTEST_SAYS.sub(" ", traceback)))


def _not_compiled(traceback: str) -> tuple[str, str]:
    """Return the file that a SyntaxError names, which no frame ran, and what is wrong with it; or two empty texts."""
    said = list(_SYNTAX_LINE.finditer(traceback))
    if not said:
        return "", ""
    end = said[-1].start()
    frames = _frames(traceback)
    # A frame says in which function it stands; the place of the error does not.
    named = [match for match in frames if match["file"] and not match["in"] and match.start() < end]
    if not named or any(match["in"] or match["in2"] for match in frames if match.start() > named[-1].start()):
        return "", ""
    return named[-1]["file"], said[-1]["message"] or ""


def _by_others(top_levels: Mapping[str, str], own: Collection[str]) -> dict[str, str]:
    """Return who brought what can be imported; an empty text for the project's own."""
    ours = {_canonical(name) for name in own}
    return {
        first: "" if _canonical(distribution) in ours else distribution
        for first, distribution in top_levels.items()
    }


def _owner(file: str, brought: Mapping[str, str], refused: str = "") -> Surfaced:
    installed = _INSTALLED.search(_slashes(file))
    if installed:
        first = installed["rest"].split("/")[0].partition(".")[0]
        # What no distribution brought is the project's, which some recipes install in ways of their own.
        name = brought.get(first, "" if brought else first)
        return Surfaced(Place.DEPENDENCY, name, refused) if name else Surfaced(Place.PROJECT, "", refused)
    standard = _STANDARD.search(_slashes(file))
    if standard:
        return Surfaced(Place.STANDARD_LIBRARY, _module(standard), refused)
    return Surfaced(Place.PROJECT, "", refused)


def _module(path_or_frozen: re.Match[str]) -> str:
    return path_or_frozen["frozen"] or _dotted(path_or_frozen["rest"]).removesuffix(".__init__")


def _dotted(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts)


def _passed_through(file: str) -> bool:
    installed, standard = _INSTALLED.search(file), _STANDARD.search(file)
    found = installed or standard
    if not found:
        return False
    name = found["rest"] if installed else found["rest"] or found["frozen"]
    module = name if standard and standard["frozen"] else _dotted(name)
    return any(module == each or module.startswith(f"{each}.") for each in PASSED_THROUGH)


def _native(stack: str, brought: Mapping[str, str]) -> Surfaced:
    for match in _NATIVE_FRAME.finditer(stack):
        library = match["library"]
        if library.startswith(_OF_CRASHES):
            continue
        extension = _EXTENSION.match(library)
        distribution = brought.get(extension["module"], "") if extension else ""
        return Surfaced(Place.NATIVE, f"{library} of {distribution}" if distribution else library)
    return Surfaced(Place.NATIVE, "the interpreter") if stack.strip() else Surfaced()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _slashes(file: str) -> str:
    return file.replace("\\", "/")
