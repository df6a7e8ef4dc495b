"""What Buildbot asks before it starts a build, answered for requests that may not run anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from buildbot.process.properties import Properties
from twisted.internet import defer

from pybots.config.model import FarmConfiguration
from pybots.farm.chooser import PAGE, ThriftyChooser
from pybots.farm.placing import MayStart, Placements, placement_of, placement_properties
from pybots.interpreters.plan import TrackName
from pybots.runs.records import WantedRun

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACK = TrackName("main", "default", "linux")


def configuration() -> FarmConfiguration:
    """Machine `a` has two slots, `b` has one."""
    worker = {"platform": "linux", "interpreters": True, "password_file": "x"}
    return FarmConfiguration.model_validate(
        {
            "trunk": {"git": "."},
            "worker": [{**worker, "name": "a", "slots": 2}, {**worker, "name": "b"}],
        }
    )


class Farm:
    """One builder with workers that are free or busy, and a queue; counts what is asked of the database."""

    def __init__(self, *free: str) -> None:
        self.placements = Placements()
        self.may_start = MayStart(self.placements, configuration(), lambda: NOW)
        self.free = {name: wfb(name) for name in free}
        self.building: list[Any] = []
        self.botmaster = SimpleNamespace(builders={"tests": self})
        self.config = SimpleNamespace(
            nextWorker=lambda _builder, workers, _request: workers[0],
            nextBuild=None,
            canStartBuild=self.may_start,
        )
        self.data = self
        self.queue: dict[int, tuple[int, dict[str, Any]]] = {}
        self.pages = 0
        self.read: list[int] = []

    def ask(self, number: int, priority: int = 0, **properties: Any) -> None:
        self.queue[number] = (priority, properties)

    def busy(self, name: str, **properties: Any) -> None:
        build = Properties()
        build.update(properties, "test")
        build.workerforbuilder = wfb(name)  # type: ignore[attr-defined]
        self.building.append(build)

    def getAvailableWorkers(self) -> list[Any]:
        return list(self.free.values())

    def getBuilderId(self) -> defer.Deferred[int]:
        return defer.succeed(7)

    def canStartBuild(self, worker: Any, request: Any) -> defer.Deferred[bool]:
        return defer.succeed(self.may_start(self, worker, request))

    def get(self, path: Any, filters: Any, *, order: Any, limit: int | None) -> defer.Deferred[Any]:
        self.pages += 1
        ordered = sorted(self.queue.items(), key=lambda item: (-item[1][0], item[0]))
        found = [{"buildrequestid": number, "priority": said[0]} for number, said in ordered]
        return defer.succeed(found[:limit])

    def start(self) -> list[tuple[int, str]]:
        """Start what can be started, as Buildbot's loop does; return request and worker of each."""
        chooser = Chooser(self, self)
        started = []
        while True:
            found: list[Any] = []
            defer.Deferred.fromCoroutine(chooser.chooseNextBuild()).addCallback(found.append)
            ((worker, requests),) = found
            if worker is None:
                return started
            (request,) = requests
            name = worker.worker.workername
            del self.free[name]
            properties = self.queue.pop(request.id)[1]
            self.busy(name, **properties)
            started.append((request.id, name))

    def ends(self, name: str) -> None:
        self.building = [one for one in self.building if one.workerforbuilder.worker.workername != name]
        self.free[name] = wfb(name)


class Chooser(ThriftyChooser):
    def _getBuildRequestForBrdict(self, brdict: dict[str, Any]) -> defer.Deferred[Any]:
        number = brdict["buildrequestid"]
        self.bldr.read.append(number)
        properties = Properties()
        properties.update(self.bldr.queue[number][1], "test")
        return defer.succeed(SimpleNamespace(id=number, properties=properties))


def wfb(name: str) -> Any:
    return SimpleNamespace(worker=SimpleNamespace(workername=name))


def test_properties_say_where_a_request_may_run() -> None:
    run = WantedRun("key", "attrs", TRACK, on_worker="a-1", not_on=("b", "c"), machine_idle=True)
    properties = Properties()
    properties.update(placement_properties(run), "test")
    assert placement_of(properties).on_worker == "a-1"
    assert placement_of(properties).not_on == {"b", "c"}
    assert placement_of(properties).machine_idle
    assert placement_properties(WantedRun("key", "attrs", TRACK)) == {}


def test_a_request_for_one_worker_waits_for_it_and_stops_nobody() -> None:
    farm = Farm("a-2", "b")
    farm.ask(1, priority=1, on_worker="a-1")
    farm.ask(2)
    farm.ask(3, not_on=["a-2"])
    assert farm.start() == [(2, "a-2"), (3, "b")]
    farm.ends("a-1")
    assert farm.start() == [(1, "a-1")]


def test_what_waits_for_a_worker_is_read_once_only() -> None:
    """A farm may have hundreds of trials waiting for one worker that is busy."""
    farm = Farm("b")
    for number in range(PAGE + 10):
        farm.ask(number, priority=1, on_worker="a-1")
    assert farm.start() == []
    assert len(farm.read) == PAGE + 10
    farm.read.clear()
    farm.ask(1000)
    assert farm.start() == [(1000, "b")]
    assert farm.read == [1000]


def test_trials_of_one_worker_run_in_their_order() -> None:
    farm = Farm("a-1", "a-2", "b")
    for number in (5, 6, 7):
        farm.ask(number, priority=1, on_worker="a-1")
    order = []
    for _ in range(3):
        order += farm.start()
        farm.ends("a-1")
    assert order == [(5, "a-1"), (6, "a-1"), (7, "a-1")]


def test_a_machine_is_kept_for_who_wants_it_idle() -> None:
    farm = Farm("a-1")
    farm.busy("a-2")
    farm.ask(1, priority=1, on_worker="a-1", machine_idle=True)
    farm.ask(2)
    assert farm.start() == [], "request 2 would keep the machine busy for ever"
    assert farm.placements.held
    farm.ends("a-2")
    assert farm.start() == [(1, "a-1")]
    assert farm.start() == [], "nothing else begins on that machine"
    farm.free["b"] = wfb("b")
    assert farm.start() == [(2, "b")]
    farm.ask(3)
    farm.ends("a-1")
    assert [request for request, _ in farm.start()] == [3]
    assert farm.placements.kept == {}
    assert farm.placements.known == {}


def test_a_machine_is_kept_no_longer_for_what_was_taken_back() -> None:
    farm = Farm("a-1")
    farm.busy("a-2")
    farm.ask(1, priority=1, on_worker="a-1", machine_idle=True)
    farm.ask(2)
    farm.start()
    del farm.queue[1]
    farm.placements.forget(1)
    assert farm.start() == [(2, "a-1")]


def test_a_worker_that_is_not_fit_takes_nothing() -> None:
    farm = Farm("b")
    farm.may_start.fit = lambda _builder, worker, _request: worker.worker.workername != "b"
    farm.ask(1)
    assert farm.start() == []
