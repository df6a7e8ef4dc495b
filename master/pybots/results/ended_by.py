"""Decides which exception ended a Python traceback."""

from __future__ import annotations

import re

_FRAME = re.compile(r'^ {1,8}File "', re.MULTILINE)
_EXCEPTION = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?::(?: |$)|$)")


def ended_by(traceback: str) -> tuple[str, str]:
    """Return the exception's type as the traceback names it, and its message; both may be empty.

    The exception is the first line after the last frame that is not indented, and all that follows it.
    """
    frames = list(_FRAME.finditer(traceback))
    lines = traceback[frames[-1].start() if frames else 0 :].strip("\n").splitlines()
    first = next((index for index, line in enumerate(lines) if line[:1] not in {" ", "\t", ""}), None)
    if first is None:
        return "", ""
    match = _EXCEPTION.match(lines[first])
    if not match:
        return "", "\n".join(lines[first:]).strip()
    return match[1], "\n".join([lines[first][match.end() :], *lines[first + 1 :]]).strip()
