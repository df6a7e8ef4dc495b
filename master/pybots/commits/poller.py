"""Follows the branches of the trunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThread

from pybots.commits.rounds import WANTED, RoundsService


class CommitPoller(RoundsService):
    """Calls *poll*, which blocks, in a thread every *seconds*."""

    name = "commit-poller"

    def reconfigService(self, *, seconds: float, poll: Callable[[], None]) -> defer.Deferred[Any]:
        """Take over a new interval or a new round."""
        self.poll = poll
        self.begin(seconds)
        return defer.succeed(None)

    async def round(self) -> None:
        """Poll once, and say that there may be something to build."""
        await deferToThread(self.poll)
        self.master.mq.produce(WANTED, {})
