"""Decides what of a suite's output is the native stack of its crash: what faulthandler prints since Python 3.14."""

from __future__ import annotations

import re

MOST_FRAMES = 60
_LONGEST = 250
_BEGIN = re.compile(r"^Current thread's C stack trace \(most recent call first\):[ \t]*$", re.MULTILINE)
_FRAME = re.compile(
    r'[ \t]{1,8}Binary file "(?P<file>[^"\n]{0,4000})", at (?P<function>[^\s+]{0,1000})\+?(?P<offset>0x[0-9a-f]{1,16})?'
)
_EXTENSIONS = re.compile(r"^Extension modules: [^\n]{1,2000}$", re.MULTILINE)
_PRINTS_IT = "_Py_DumpStack"
_LIBC = "libc.so"


def native_stack(output: str) -> str:
    """Return the innermost native frames of the last crash in *output*, by library and function; empty without one.

    Left out are the frames of what prints the stack, as far as the one that the kernel called it from. What
    extensions were loaded comes after the frames.
    """
    begun = list(_BEGIN.finditer(output))
    if not begun:
        return ""
    rest = output[begun[-1].end() :].lstrip("\n")
    frames: list[tuple[str, str, str]] = []
    for line in rest.splitlines():
        match = _FRAME.match(line)
        if not match or len(frames) >= 2 * MOST_FRAMES:
            break
        frames.append((match["file"].rpartition("/")[2], match["function"], match["offset"] or ""))
    told = [f"{file} {function}+{offset}"[:_LONGEST] for file, function, offset in _of_the_crash(frames)]
    extensions = _EXTENSIONS.search(rest)
    return "\n".join([*told[:MOST_FRAMES], *([extensions[0]] if told and extensions else [])])


def _of_the_crash(frames: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    if not any(function == _PRINTS_IT for _, function, _ in frames[:3]):
        return frames
    called = next((index for index, frame in enumerate(frames) if frame[0].startswith(_LIBC)), -1)
    return frames[called + 1 :]
