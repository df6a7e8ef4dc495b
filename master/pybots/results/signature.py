"""Decides when two failures are the same fault: by a signature of what stays when place and time change."""

from __future__ import annotations

import functools
import hashlib
import re

from pybots.results.outcome import Failure

TRACEBACK_LENGTH = 20_000
_HEAD_SHARE = 5  # a fifth for the head, the rest for the tail: the last frames say most
_FRAMES = 3
_MESSAGE_LENGTH = 2_000

_UNIX_FOLDERS = r"(?<![\w/<.\\])(?!//)(?:/[^\s/'\"<>:,;()\[\]]+)*/"
_WINDOWS_FOLDERS = r"(?<![\w\\])[A-Za-z]:[\\/](?:[^\s\\/'\"<>:,;()]+[\\/]+)*"
_HOST = r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]{2,39}\])"

# In this order: what is longer or more telling goes before what is part of it. The third is what each of them has in
# it wherever it is found (nothing, where it cannot be told): to look for that first is many times as quick.
_CHANGING = tuple(
    (re.compile(pattern), replacement, needed)
    for pattern, replacement, needed in (
        (
            r"\[(?:\+\d+ more lines?|truncated); full report in element text\]",
            "",
            "full report in element text",
        ),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<uuid>", "-"),
        (
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?",
            "<time>",
            "-",
        ),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?\b", "<time>", ":"),
        (rf"({_HOST}):\d{{1,5}}\b", r"\1:<port>", ":"),
        (rf"(['\"]{_HOST}['\"]), ?\d{{1,5}}\b", r"\1, <port>", ","),
        (r"(?i)\b(port)([ =:]{1,3})\d{1,5}\b", r"\1\2<port>", ""),
        (r"\b0x[0-9a-fA-F]{6,16}\b", "<address>", "0x"),
        (r"\b[0-9a-f]{32,128}\b", "<digest>", ""),
        (_UNIX_FOLDERS, "", "/"),
        (_WINDOWS_FOLDERS, "", ":"),
        (r"\btmp[a-z0-9_]{6,8}\b", "<temporary>", "tmp"),
        (r"\bpytest-(?:of-\w{1,40}|\d{1,9})\b", "<temporary>", "pytest-"),
        (r"(?i)\b(line|lineno)([ =:]{1,3})\d{1,7}\b", r"\1\2<n>", ""),
        (r"(\.[A-Za-z]{1,4}):\d{1,7}(?::\d{1,5})?\b", r"\1:<n>", ":"),
        (
            r"(?i)\b(pid|tid|ppid|process|ident|thread|fd|fileno|native_id)([ =:#]{1,3})\d{1,20}\b",
            r"\1\2<n>",
            "",
        ),
        (
            r"\b(Thread|Task|Dummy|\w{1,40}Worker|\w{0,40}Process|\w{1,40}Executor)-\d{1,9}(?:_\d{1,9})?\b",
            r"\1-<n>",
            "-",
        ),
        (
            r"(?i)\b\d{1,12}(?:\.\d{1,12})?(?:e-\d\d)? ?(?:s|ms|us|µs|ns|secs?|seconds?|milliseconds?)\b",
            "<duration>",
            "",
        ),
        (r"\b1[5-9]\d{8}(?:\.\d{1,9})?\b", "<time>", ""),
        (r"\b\d{12,20}\b", "<id>", ""),
        (r"\s+", " ", ""),
    )
)

_FRAME = re.compile(
    r"""^[ \t]{0,200}(?:File\ "(?P<file>[^"\n]{1,500})",\ line\ \d+(?:,\ in\ (?P<function>[^\n]{1,200}))?"""
    r"""|(?P<file2>[^\s:"][^:"\n]{0,500}\.\w{1,4}):\d+:\ ?(?:in\ (?P<function2>[^\n]{1,200}))?)""",
    re.MULTILINE | re.VERBOSE,
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
    for pattern, replacement, needed in _CHANGING:
        if needed in message:
            message = pattern.sub(replacement, message)
    return message.strip()


@functools.lru_cache(maxsize=4_096)
def _normalised_name(name: str) -> str:
    # Of files and functions there are few in many tracebacks.
    return normalised(name)


def last_frames(traceback: str) -> list[tuple[str, str]]:
    """Return base name and function (empty where not told) of the last frames, innermost last."""
    frames = [
        (
            _normalised_name(re.split(r"[\\/]", match["file"] or match["file2"])[-1]),
            _normalised_name(match["function"] or match["function2"] or ""),
        )
        for match in _FRAME.finditer(trim_traceback(traceback))
    ]
    return frames[-_FRAMES:]


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
