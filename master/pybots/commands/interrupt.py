"""Talks to the system about signals: one of them ends the command as an exception does, so that all is tidied up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedBySignal(BaseException):
    """Somebody asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Raise InterruptedBySignal, once: tidying up must not be disturbed."""
    on_signals(signal.SIG_IGN)
    raise InterruptedBySignal(number)


def on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Have *handler* called at each of SIGNALS."""
    for number in SIGNALS:
        signal.signal(number, handler)


@contextmanager
def signals_put_back() -> Iterator[None]:
    """Put back at the end what was done at signals before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
