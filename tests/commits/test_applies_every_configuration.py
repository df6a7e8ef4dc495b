"""A setting changed and changed back is applied twice; Buildbot alone forgets that it changed."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.util.service import BuildbotService
from twisted.internet import defer

from pybots.commits.rounds import AppliesEveryConfiguration


class Recorder(AppliesEveryConfiguration, BuildbotService):
    name = "recorder"
    master = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.applied: list[int] = []
        self.fail = False

    def reconfigService(self, *, port: int) -> defer.Deferred[None]:
        if self.fail:
            return defer.fail(OSError("address in use"))
        self.applied.append(port)
        return defer.succeed(None)


def apply(service: Recorder, port: int) -> None:
    done = service.reconfigServiceWithSibling(Recorder(port=port))
    failures: list[Any] = []
    done.addErrback(failures.append)
    assert done.called
    if failures:
        failures[0].raiseException()


def test_changed_and_changed_back() -> None:
    service = Recorder(port=1)
    for port in (1, 1, 2, 2, 1):
        apply(service, port)
    assert service.applied == [1, 2, 1]


def test_what_failed_is_applied_when_it_comes_again() -> None:
    service = Recorder(port=1)
    apply(service, 1)
    service.fail = True
    with pytest.raises(OSError, match="in use"):
        apply(service, 2)
    service.fail = False
    apply(service, 1)
    apply(service, 2)
    assert service.applied == [1, 1, 2]
