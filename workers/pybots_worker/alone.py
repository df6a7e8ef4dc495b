"""Notices that we are told to stop, or that nobody waits for what we do any more."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


class StoppedError(BaseException):
    """We were told to stop (SIGTERM), or the process that started us is gone; the program is dead already."""


def stop_if_alone() -> None:
    """Raise StoppedError where the process that started us is gone: nobody waits for what we do."""
    if os.getppid() != _parent:
        msg = "the process that started us is gone"
        raise StoppedError(msg)


_parent = os.getppid()
"""Taken when we begin: who took its place later would look like it."""


def _take_parent() -> None:
    global _parent  # noqa: PLW0603  (the parent is the process's)
    _parent = os.getppid()


os.register_at_fork(after_in_child=_take_parent)


@contextlib.contextmanager
def stop_flag() -> Iterator[list[int]]:
    """A list that gets an entry when SIGTERM arrives (in the main thread, where signals can be handled)."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
