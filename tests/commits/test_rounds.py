from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet import defer, task

from pybots.commits.rounds import RoundsService


class Rounds(RoundsService):
    """Counts its rounds; each lasts until it is let go."""

    name = "rounds"
    master: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = task.Clock()
        self.master = SimpleNamespace(reactor=self.clock)
        self.begun: list[defer.Deferred[None]] = []

    async def round(self) -> None:
        self.begun.append(defer.Deferred())
        await self.begun[-1]


def test_a_round_can_be_had_at_once() -> None:
    service = Rounds()
    service.begin(10.0)
    service.begun[0].callback(None)
    service.hasten()
    assert len(service.begun) == 2
    service.begun[1].callback(None)
    service.clock.advance(10)
    assert len(service.begun) == 3, "those that were due come as before"


def test_during_a_round_another_one_follows_it_however_often_it_is_asked_for() -> None:
    """What is asked for may have come too late for the round that is under way."""
    service = Rounds()
    service.begin(10.0)
    service.hasten()
    service.hasten()
    assert len(service.begun) == 1
    service.begun[0].callback(None)
    service.clock.advance(0)
    assert len(service.begun) == 2
    service.begun[1].callback(None)
    service.clock.advance(0)
    assert len(service.begun) == 2


def test_nothing_is_hastened_once_it_is_stopped() -> None:
    service = Rounds()
    service.begin(10.0)
    service.begun[0].callback(None)
    service.stopService()
    service.hasten()
    service.clock.advance(0)
    assert len(service.begun) == 1
