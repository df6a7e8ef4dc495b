"""Records the phases of a run, and names what ends it before its suite could."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Ending, Phase

Announce = Callable[[str, Phase | None], None]

MARK = "=== "
LINE_CHARACTERS = 500
"""What the contract's `Line` holds."""


MACHINE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
)
"""What the system says of itself, and not of what it was asked for."""


class RunEndedError(Exception):
    """The run ends here. `detail` is one line that a person understands."""

    def __init__(self, ending: Ending, detail: str) -> None:
        self.ending = ending
        self.detail = one_line(detail)
        super().__init__(self.detail)


def one_line(text: str) -> str:
    """Fold a text into one line of at most 500 characters, of which every one can be written and sent."""
    sound = text[: 100 * LINE_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    folded = " ".join(sound.replace("\0", "").split())
    return folded if len(folded) <= LINE_CHARACTERS else folded[: LINE_CHARACTERS - 4].rstrip() + " ..."


class Phases:
    """The phases so far, in order; each is announced in the log, on a line of its own.

    `announce` is called as each begins (with None) and ends (with the phase).
    """

    def __init__(self, log: BoundedLog, announce: Announce | None = None) -> None:
        self.done: list[Phase] = []
        self._log = log
        self.announce: Announce = announce or (lambda name, phase: None)

    @contextlib.contextmanager
    def run(self, name: str) -> Iterator[None]:
        """Time one phase; it succeeded unless it raises."""
        self._log.say(f"\n{MARK}{name}\n")
        started = time.monotonic()
        succeeded = False
        self.announce(name, None)
        try:
            yield
            succeeded = True
        finally:
            self.done.append(Phase(name=name, seconds=time.monotonic() - started, succeeded=succeeded))
            self.announce(name, self.done[-1])
