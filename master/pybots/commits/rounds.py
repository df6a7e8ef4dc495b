"""A Buildbot service that does its work in rounds: every so often, never two at once."""

from __future__ import annotations

from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet import defer, task
from twisted.python import log

WANTED = ("pybots", "wanted")
"""Buildbot's message that there may be new wants: whoever turns them into requests need not wait for its round."""


class AppliesEveryConfiguration:
    """A mixin: compares a new configuration with the last one applied.

    Buildbot 4.3.0 compares with the first one for ever (`reconfigServiceWithSibling` never updates what it
    compares with), so that a setting changed and changed back is not applied, nor one that failed and is
    mended.
    """

    @defer.inlineCallbacks
    def reconfigServiceWithSibling(self, sibling: Any) -> Any:
        """Apply *sibling*'s configuration, and remember it once that succeeded."""
        service: Any = self
        try:
            yield super().reconfigServiceWithSibling(sibling)  # type: ignore[misc]
        except Exception:
            service.configured = False
            raise
        service._config_args, service._config_kwargs = sibling._config_args, sibling._config_kwargs


class RoundsService(AppliesEveryConfiguration, BuildbotService):
    """Calls `round()` every `seconds`; a round that fails is logged, and the next one comes as usual."""

    seconds: float
    _rounds: task.LoopingCall | None = None
    _busy: defer.Deferred[Any] | None = None
    _hastened = False

    async def round(self) -> None:
        """Do the work of one round."""
        raise NotImplementedError

    def begin(self, seconds: float) -> None:
        """Begin the rounds, or go on with another interval: Buildbot configures a service after starting it."""
        self._end()
        self.seconds = seconds
        self._rounds = task.LoopingCall(self._round)
        self._rounds.clock = self.master.reactor
        self._rounds.start(seconds)

    def hasten(self) -> None:
        """Do a round at once; where one is under way, another one after it: it may have begun too early."""
        if self._busy is None:
            self._begin_early()
        else:
            self._hastened = True

    @defer.inlineCallbacks
    def stopService(self) -> Any:
        """Begin no new round, and wait for the one under way: it ends by its own timeouts."""
        self._end()
        if self._busy is not None:
            yield self._busy
        yield super().stopService()

    def _end(self) -> None:
        if self._rounds is not None and self._rounds.running:
            self._rounds.stop()
        self._rounds = None

    def _round(self) -> defer.Deferred[Any]:
        if self._busy is None:
            done = defer.Deferred.fromCoroutine(self.round())
            done.addErrback(lambda failure: log.err(failure, f"a round of the {self.name} failed"))
            self._busy = done
            done.addBoth(self._rest)
        # Another Deferred than the one that stopService waits for: each waiter needs its own.
        waiter: defer.Deferred[Any] = defer.Deferred()
        if self._busy is None:
            waiter.callback(None)
        else:
            self._busy.addBoth(lambda _: waiter.callback(None))
        return waiter

    def _rest(self, _: Any) -> None:
        self._busy = None
        if self._hastened:
            self._hastened = False
            self.master.reactor.callLater(0, self._begin_early)

    def _begin_early(self) -> None:
        if self._rounds is not None:
            self._round()
