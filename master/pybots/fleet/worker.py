"""A Buildbot worker whose silence is noticed: it is asked every few seconds, and cut off when it does not answer."""

from __future__ import annotations

from typing import Any

from buildbot.worker.base import Worker
from twisted.internet import defer, task
from twisted.python import log

from pybots.commits.rounds import AppliesEveryConfiguration

SILENT_ROUNDS = 3


class AttendedWorker(AppliesEveryConfiguration, Worker):
    """Takes a worker for lost after three rounds without an answer.

    Buildbot's own keepalive sends and never looks for the answer, so that a machine that lost its network, or
    a stopped process, holds its build until TCP gives up after a quarter of an hour.
    """

    # A build that ends in an exception is the farm's own error more often than the machine's: a volunteer's
    # machine is not sent away for an hour because of it.
    quarantine_max_timeout = 60

    def checkConfig(self, name: str, password: Any, *, ask_seconds: float = 15, **kwargs: Any) -> None:
        """Accept `ask_seconds` besides what every worker accepts."""
        super().checkConfig(name, password, **kwargs)
        self._rounds: task.LoopingCall | None = None

    @defer.inlineCallbacks
    def reconfigService(self, name: str, password: Any, *, ask_seconds: float = 15, **kwargs: Any) -> Any:
        """Take over a new interval; it counts from the next connection on."""
        self.ask_seconds = ask_seconds
        yield super().reconfigService(name, password, **kwargs)

    @defer.inlineCallbacks
    def attached(self, conn: Any) -> Any:
        """Begin to ask as soon as the worker is there."""
        # Each small message otherwise waits for the answer to the one before it: 40 ms with every file.
        conn.mind.broker.transport.setTcpNoDelay(True)
        yield super().attached(conn)
        self._stop_asking()
        self._rounds = task.LoopingCall(self._ask, conn)
        self._rounds.clock = self.master.reactor
        self._rounds.start(self.ask_seconds, now=False)

    @defer.inlineCallbacks
    def detached(self) -> Any:
        """Stop asking a worker that is gone."""
        self._stop_asking()
        yield super().detached()

    def _stop_asking(self) -> None:
        if self._rounds is not None and self._rounds.running:
            self._rounds.stop()
        self._rounds = None

    def _ask(self, conn: Any) -> None:
        if conn.mind is None:
            return
        answer = conn.mind.callRemote("print", message="are you there?")
        answer.addTimeout(SILENT_ROUNDS * self.ask_seconds, self.master.reactor)
        answer.addErrback(self._cut_off, conn)

    def _cut_off(self, reason: Any, conn: Any) -> None:
        if conn.mind is None:
            return
        log.msg(
            f"worker {self.name} did not answer for {SILENT_ROUNDS * self.ask_seconds:g} s: taken for lost"
        )
        conn.mind.broker.transport.abortConnection()
