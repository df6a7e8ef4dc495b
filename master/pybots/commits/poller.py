"""Follows the branches of the trunk: every so often, and never two rounds at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet import defer, task
from twisted.internet.threads import deferToThread
from twisted.python import log


class CommitPoller(BuildbotService):
    """Calls *poll* (which blocks, in a thread) every *seconds*; a round that raises is logged, and the next comes."""

    name = "commit-poller"  # type: ignore[assignment]
    _rounds: task.LoopingCall | None = None
    _poll: Callable[[], None]
    _seconds: float = 60

    def reconfigService(self, *, seconds: float, poll: Callable[[], None]) -> defer.Deferred[Any]:  # type: ignore[override]
        """Take over a new interval or a new round."""
        self._seconds, self._poll = seconds, poll
        if self._rounds is not None:
            self._stop()
            self._start()
        return defer.succeed(None)

    def startService(self) -> Any:
        """Begin with a round at once."""
        self._start()
        return super().startService()

    def stopService(self) -> Any:
        """No new round begins; one that is under way ends by its own timeouts."""
        self._stop()
        return super().stopService()

    def _start(self) -> None:
        self._rounds = task.LoopingCall(self._round)
        self._rounds.clock = self.master.reactor
        self._rounds.start(self._seconds)

    def _stop(self) -> None:
        if self._rounds is not None and self._rounds.running:
            self._rounds.stop()
        self._rounds = None

    def _round(self) -> defer.Deferred[Any]:
        # A LoopingCall waits for what its call returns: rounds never overlap.
        done = deferToThread(self._poll)
        done.addErrback(log.err, "a round of polling the trunk failed; the next one comes as usual")
        return done
