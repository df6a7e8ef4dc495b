"""Decides what of a log tells why a run went wrong as a whole, in words that are the same for other projects too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from pybots.results.signature import normalised
from pybots.verdicts.evidence import Kind

LINES = 2_000
"""So many lines at the end of a log are looked at."""
_LINE_LENGTH = 500
_FRAMES = 3

# What compilers, linkers and build tools write; what stands before it is a file and a place.
_COMPILER = re.compile(
    r"(?:^|[\s:])(?P<error>"
    r"(?:fatal )?error(?:\[E\d{4}\])?: (?!command |subprocess-exited|metadata-generation|could not compile)\S.*"
    r"|error (?:C|LNK)\d{4}: .*"
    r"|undefined reference to .*"
    r"|undefined symbol: .*)$"
)
_EXCEPTION = re.compile(
    r"^(?:E {1,8}|\s{0,40})(?P<error>(?:[A-Za-z_][\w.]{0,100}\.)?"
    r"[A-Z]\w{0,80}(?:Error|Exception|Interrupt|Exit|Warning)(?:: .*)?)$"
)
_TOOL = re.compile(r"^\s*(?:\u00d7|ERROR:|error:)\s+(?P<error>\S.*)$")
_FATAL = re.compile(r"(?P<error>Fatal Python error: .*|Assertion '.*' failed.*|pure virtual method .*)$")
_FRAME = re.compile(r'^  File "(?P<file>[^"\n]{1,500})", line \d+ in (?P<function>\S{1,200})')
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d`", "''\"\"'")
_MODULE_PATH = re.compile(r"\([^()\s]*?([^()\s/\\]+)\)")


def error_lines(log: str, kind: Kind) -> list[str]:
    """Return the lines of *log* that tell why a run came to *kind*, without file names, places, addresses and times.

    Of what builds: the first thing that a compiler or linker could not take, because what comes after is its
    consequence; else the last exception, else what the tool said itself. Of a crash: what the interpreter said, and
    the functions that it was in.
    """
    lines = [line[:_LINE_LENGTH].translate(_QUOTES) for line in log.splitlines()[-LINES:]]
    if kind in {Kind.CRASHED, Kind.TIMED_OUT}:
        return _crash(lines)
    first = _found(_COMPILER, lines)[:1]
    return first or _found(_EXCEPTION, lines)[-1:] or _found(_TOOL, lines)[:1]


def build_errors(log: str) -> list[str]:
    """Return every line of *log* that tells why an interpreter was not built, in the same words for each builder."""
    lines = [line[:_LINE_LENGTH].translate(_QUOTES) for line in log.splitlines()[-LINES:]]
    return _found(_COMPILER, lines) or _found(_EXCEPTION, lines)[-1:] or _found(_TOOL, lines)[:1]


def whole_signature(kind: Kind, log: str, detail: str) -> str:
    """Return 64 hexadecimal digits: the same where runs of whatever project came to *kind* for the same fault.

    *detail* is what the farm says of how the run ended; it counts where the log tells nothing.
    """
    said = error_lines(log, kind) or [_bare(detail)]
    return hashlib.sha256("\0".join(said).encode("utf-8", "replace")).hexdigest()


def _found(pattern: re.Pattern[str], lines: Iterable[str]) -> list[str]:
    matches = (pattern.search(line) for line in lines)
    return [bare for match in matches if match and (bare := _bare(match["error"]))]


def _crash(lines: list[str]) -> list[str]:
    fatal = _found(_FATAL, lines)[-1:]
    begins = max((i for i, line in enumerate(lines) if "most recent call first" in line), default=None)
    frames = [] if begins is None else [match for line in lines[begins:] if (match := _FRAME.match(line))]
    return fatal + [f"{_bare(match['file'])}:{match['function']}" for match in frames[:_FRAMES]]


def _bare(line: str) -> str:
    return normalised(_MODULE_PATH.sub(r"(\1)", line))
