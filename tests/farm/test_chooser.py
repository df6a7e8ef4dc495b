"""Which request is next for a free worker, and how little is asked to know it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.buildrequestdistributor import BuildRequestDistributor
from twisted.internet import defer

from pybots.farm.chooser import PAGE, ThriftyChooser
from pybots.farm.master import make_quicker


class Queue:
    """A builder with a queue of requests (number -> priority) and free workers; notes what is asked of the database."""

    def __init__(
        self, priorities: dict[int, int], workers: list[str], refused: set[int] | None = None
    ) -> None:
        self.priorities = priorities
        self.free = workers
        self.refused = refused or set()
        self.asked: list[int | None] = []
        self.config = SimpleNamespace(
            nextWorker=lambda _builder, workers, _request: workers[0], nextBuild=None
        )
        self.data = self

    def getAvailableWorkers(self) -> list[str]:
        return list(self.free)

    def getBuilderId(self) -> defer.Deferred[int]:
        return defer.succeed(7)

    def canStartBuild(self, _worker: str, request: Any) -> defer.Deferred[bool]:
        return defer.succeed(request.id not in self.refused)

    def get(self, path: Any, filters: Any, *, order: Any, limit: int | None) -> defer.Deferred[Any]:
        assert path == ("builders", 7, "buildrequests")
        assert order == ("-priority", "buildrequestid")
        self.asked.append(limit)
        ordered = sorted(self.priorities.items(), key=lambda item: (-item[1], item[0]))
        requests = [{"buildrequestid": number, "priority": priority} for number, priority in ordered]
        return defer.succeed(requests[:limit])

    def chosen(self) -> list[int]:
        """Choose until nothing is left to choose, as Buildbot's loop does."""
        chooser = Chooser(self, self)
        found = []
        while True:
            worker, requests = _result(defer.Deferred.fromCoroutine(chooser.chooseNextBuild()))
            if not worker:
                return found
            self.free.remove(worker)
            del self.priorities[requests[0].id]
            found.append(requests[0].id)


class Chooser(ThriftyChooser):
    def _getBuildRequestForBrdict(self, brdict: dict[str, Any]) -> defer.Deferred[Any]:
        return defer.succeed(SimpleNamespace(id=brdict["buildrequestid"]))


def _result(deferred: defer.Deferred[Any]) -> Any:
    found: list[Any] = []
    deferred.addCallback(found.append)
    assert found, "it waits for nothing"
    return found[0]


def test_the_highest_priority_and_then_the_oldest() -> None:
    queue = Queue({1: 0, 2: 5, 3: 5, 4: 0}, ["a", "b", "c"])
    assert queue.chosen() == [2, 3, 1]
    assert queue.asked == [PAGE]


def test_nothing_is_asked_where_no_worker_is_free() -> None:
    queue = Queue({1: 0}, [])
    assert queue.chosen() == []
    assert queue.asked == []


def test_the_rest_of_the_queue_is_looked_at_where_the_head_may_not_run() -> None:
    queue = Queue(dict.fromkeys(range(PAGE + 5), 0), ["a"], refused=set(range(PAGE + 2)))
    assert queue.chosen() == [PAGE + 2]
    assert queue.asked == [PAGE, None]


def test_nothing_in_the_queue_may_run() -> None:
    queue = Queue(dict.fromkeys(range(PAGE + 5), 0), ["a"], refused=set(range(PAGE + 5)))
    assert queue.chosen() == []
    assert queue.asked == [PAGE, None]


def test_a_function_that_chooses_sees_every_request() -> None:
    queue = Queue(dict.fromkeys(range(PAGE + 5), 0), ["a"])
    queue.config.nextBuild = lambda _builder, requests: requests[-1]
    assert queue.chosen() == [PAGE + 4]
    assert queue.asked == [None]


def test_buildbots_table_of_addresses_is_made_once(tmp_path: Any) -> None:
    from buildbot.master import BuildMaster

    master = BuildMaster(str(tmp_path))
    make_quicker(master)
    assert master.botmaster.brd.BuildChooser is ThriftyChooser
    assert BuildRequestDistributor.BuildChooser is not ThriftyChooser, "another master's is as it was"
    before = master.data.matcher._by_length
    endpoint, _ = master.data.getEndpoint(("builders", 1, "buildrequests"))
    assert type(endpoint).__name__ == "BuildRequestsEndpoint"
    assert master.data.matcher._by_length is before
