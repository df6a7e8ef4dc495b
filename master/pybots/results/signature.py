"""Decides when two failures are the same fault: by a signature of what stays when place and time change."""

from __future__ import annotations

import functools
import hashlib
import re
import string
from collections.abc import Sequence

from pybots.results.outcome import Failure

TRACEBACK_LENGTH = 20_000
_HEAD_SHARE = 5  # a fifth for the head, the rest for the tail: the last frames say most
_FRAMES = 3
_MESSAGE_LENGTH = 2_000

_UNIX_FOLDERS = r"(?<![\w/<.\\])(?!//)(?:/[^\s/'\"<>:,;()\[\]]+)*/"
_WINDOWS_FOLDERS = r"(?<![\w\\])[A-Za-z]:[\\/](?:[^\s\\/'\"<>:,;()]+[\\/]+)*"
_HOST = r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]{2,39}\])"

# In this order: what is longer or more telling goes before what is part of it. The third are words, written as in
# `_shape`, of which one is there wherever the pattern is found: to look for those first is many times as quick.
_HEX = "\x1c"
_CHANGING = tuple(
    (re.compile(pattern), replacement, needed)
    for pattern, replacement, needed in (
        (
            r"\[(?:\+\d+ more lines?|truncated); full report in element text\]",
            "",
            ("full report in element text",),
        ),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<uuid>", ("-",)),
        (
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?",
            "<time>",
            ("0000-00-00",),
        ),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?\b", "<time>", ("0:00:00",)),
        (rf"({_HOST}):\d{{1,5}}\b", r"\1:<port>", (":0",)),
        (rf"(['\"]{_HOST}['\"]), ?\d{{1,5}}\b", r"\1, <port>", ("',", '",')),
        (r"(?i)\b(port)([ =:]{1,3})\d{1,5}\b", r"\1\2<port>", ("port",)),
        (r"\b0x[0-9a-fA-F]{6,16}\b", "<address>", ("0x",)),
        (r"\b[0-9a-f]{32,128}\b", "<digest>", (_HEX * 32,)),
        (_UNIX_FOLDERS, "", ("/",)),
        (_WINDOWS_FOLDERS, "", (":/", ":\\")),
        (r"\btmp[a-z0-9_]{6,8}\b", "<temporary>", ("tmp",)),
        (r"\bpytest-(?:of-\w{1,40}|\d{1,9})\b", "<temporary>", ("pytest-",)),
        (r"(?i)\b(line|lineno)([ =:]{1,3})\d{1,7}\b", r"\1\2<n>", ("line",)),
        (r"(\.[A-Za-z]{1,4}):\d{1,7}(?::\d{1,5})?\b", r"\1:<n>", (":0",)),
        (
            r"(?i)\b(pid|tid|ppid|process|ident|thread|fd|fileno|native_id)([ =:#]{1,3})\d{1,20}\b",
            r"\1\2<n>",
            ("pid", "tid", "process", "ident", "thread", "fd", "fileno", "native_id"),
        ),
        (
            r"\b(Thread|Task|Dummy|\w{1,40}Worker|\w{0,40}Process|\w{1,40}Executor)-\d{1,9}(?:_\d{1,9})?\b",
            r"\1-<n>",
            ("-0",),
        ),
        (
            r"(?i)\b\d{1,12}(?:\.\d{1,12})?(?:e-\d\d)? ?(?:s|ms|us|µs|ns|secs?|seconds?|milliseconds?)\b",
            "<duration>",
            ("0s", "0 s", "0m", "0 m", "0u", "0 u", "0n", "0 n"),
        ),
        (r"\b1[5-9]\d{8}(?:\.\d{1,9})?\b", "<time>", ("0" * 10,)),
        (r"\b\d{12,20}\b", "<id>", ("0" * 12,)),
    )
)
_SMALL = str.maketrans(string.digits + string.ascii_uppercase, "0" * 10 + string.ascii_lowercase)
_HEXADECIMAL = {code: _HEX if chr(code) in "0123456789abcdef" else " " for code in range(128)}

_FRAME = re.compile(
    r"""[ \t]{0,200}(?:File\ "(?P<file>[^"\n]{1,500})",\ line\ \d+(?:,\ in\ (?P<function>[^\n]{1,200}))?"""
    r"""|(?P<file2>[^\s:"][^:"\n]{0,500}\.\w{1,4}):\d+:\ ?(?:in\ (?P<function2>[^\n]{1,200}))?)""",
    re.VERBOSE,
)


def signature(failure: Failure) -> str:
    """Return 64 hexadecimal digits: the same for the same fault elsewhere or later, others for another fault.

    They are made of the exception's type, of its message without what changes from run to run, and of the
    last frames' files and functions; line numbers are left out, so that an edit above does not count.
    """
    parts = [
        failure.exception.rpartition(".")[2],
        normalised(failure.message[:_MESSAGE_LENGTH]),
        *(f"{file}:{function}" for file, function in last_frames(failure.traceback)),
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def normalised(message: str) -> str:
    """Return *message* without directories, addresses, numbers of lines, processes and ports, and times."""
    for number in _possible(_shape(message)):
        pattern, replacement, _ = _CHANGING[number]
        message = pattern.sub(replacement, message)
    return " ".join(message.split())


def _shape(message: str) -> str | None:
    """Return *message* in small letters with every digit a 0, and where it is hexadecimal; None if it is not ASCII."""
    if not message.isascii():
        return None
    return f"{message.translate(_SMALL)}\n{message.translate(_HEXADECIMAL) if len(message) >= 32 else ''}"


@functools.lru_cache(maxsize=4_096)
def _possible(shape: str | None) -> Sequence[int]:
    """Return the numbers of the patterns that may be found in a text of this shape, or in what they make of it."""
    everything = range(len(_CHANGING))
    if shape is None:
        return everything
    found = [number for number in everything if any(word in shape for word in _CHANGING[number][2])]
    # What is put in, and what then touches what was apart, may be what a later one looks for.
    return everything[found[0] :] if found else ()


@functools.lru_cache(maxsize=4_096)
def _normalised_name(name: str) -> str:
    # Of files and functions there are few in many tracebacks.
    return normalised(name)


def last_frames(traceback: str) -> list[tuple[str, str]]:
    """Return base name and function (empty where not told) of the last frames, innermost last."""
    frames: list[tuple[str, str]] = []
    for line in reversed(trim_traceback(traceback).split("\n")):
        # Both kinds have this, and most other lines have not.
        match = _FRAME.match(line) if ", line " in line or line.count(":") > 1 else None
        if match:
            frames.append(
                (
                    _normalised_name(re.split(r"[\\/]", match["file"] or match["file2"])[-1]),
                    _normalised_name(match["function"] or match["function2"] or ""),
                )
            )
            if len(frames) == _FRAMES:
                break
    return frames[::-1]


def trim_traceback(text: str, length: int = TRACEBACK_LENGTH) -> str:
    """Return *text* in at most *length* characters: its head and, of four times the size, its tail."""
    if len(text) <= length:
        return text
    room = max(length - 60, 0)  # for the line that says what is missing
    head = text[: room // _HEAD_SHARE]
    tail = text[len(text) - (room - len(head)) :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    left_out = len(text) - len(head) - len(tail)
    return f"{head}[... {left_out} characters left out ...]\n{tail}"[:length]
