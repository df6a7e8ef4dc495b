"""Chooses the next request of a builder for Buildbot, with few questions to its database."""

from __future__ import annotations

from typing import Any

from buildbot.data.base import ListResult
from buildbot.data.resultspec import Filter
from buildbot.process.buildrequestdistributor import BasicBuildChooser
from twisted.internet import defer

PAGE = 20
"""Requests looked at first; the rest only where no free worker may take any of these."""


class ThriftyChooser(BasicBuildChooser):
    """Buildbot's own chooser, but that one reads a builder's whole queue whenever a worker becomes free for anything.

    This one asks nothing where no worker is free for the builder, and else reads the head of the queue first. The
    order stays Buildbot's own: the highest priority, the oldest of them.
    """

    def __init__(self, builder: Any, master: Any) -> None:
        super().__init__(builder, master)
        self.unclaimedBrdicts: Any = None
        self._seen: set[int] | None = None
        """The first page's requests; None once there is nothing more to read."""

    async def chooseNextBuild(self) -> tuple[Any, Any]:
        """Return a worker and the requests for it, or (None, None)."""
        if not (self.workerpool or self.preferredWorkers or self.bldr.getAvailableWorkers()):
            return None, None
        worker, request = await self.popNextBuild()
        return (worker, [request]) if worker and request else (None, None)

    @defer.inlineCallbacks
    def _fetchUnclaimedBrdicts(self) -> Any:
        if self.unclaimedBrdicts is None:
            # A function that chooses among requests wants to see them all.
            limit = None if self.nextBuild else PAGE
            page = yield self._unclaimed(limit)
            self._seen = {request["buildrequestid"] for request in page} if len(page) == limit else None
            self.unclaimedBrdicts = ListResult(self._not_ruled_out(page))
        if not self.unclaimedBrdicts and self._seen is not None:
            seen, self._seen = self._seen, None
            everything = yield self._unclaimed(None)
            rest = [request for request in everything if request["buildrequestid"] not in seen]
            self.unclaimedBrdicts = ListResult(self._not_ruled_out(rest))
        return self.unclaimedBrdicts

    def _not_ruled_out(self, requests: list[Any]) -> list[Any]:
        """Leave out what none of the free workers may take: to read each of them costs several questions."""
        rules_out = getattr(getattr(self.bldr.config, "canStartBuild", None), "rules_out", None)
        if rules_out is None:
            return requests
        pool = [*self.workerpool, *self.preferredWorkers] or self.bldr.getAvailableWorkers()
        free = [free.worker.workername for free in pool]
        return [request for request in requests if not rules_out(request["buildrequestid"], free)]

    @defer.inlineCallbacks
    def _unclaimed(self, limit: int | None) -> Any:
        builder = yield self.bldr.getBuilderId()
        requests = yield self.master.data.get(
            ("builders", builder, "buildrequests"),
            [Filter("claimed", "eq", [False])],
            order=("-priority", "buildrequestid"),
            limit=limit,
        )
        return list(requests)
