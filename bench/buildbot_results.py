"""The peer of `bench.results`: a real Buildbot master object, and its own way to submit test results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from buildbot.config.master import DBConfig, MasterConfig
from buildbot.master import BuildMaster
from buildbot.util.test_result_submitter import TestResultSubmitter
from twisted.internet import defer
from twisted.internet import reactor as untyped_reactor
from twisted.internet.threads import blockingCallFromThread

from pybots.farm.configure import sqlite_options

PASSED, FAILED = "1", "0"
Submit = Callable[[Sequence[str]], None]

reactor: Any = untyped_reactor


@contextmanager
def buildbot_results(folder: Path, names: Sequence[str]) -> Iterator[Submit]:
    """Run the reactor in a thread; yield what submits one run of the tests *names*, with these values, and waits.

    A process can do this once: Twisted's reactor runs once.
    """
    thread = threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True)
    thread.start()
    folder.mkdir(parents=True)
    master = BuildMaster(str(folder))
    try:
        builder: Any = blockingCallFromThread(reactor, _set_up, master, folder)

        def submit(values: Sequence[str]) -> None:
            blockingCallFromThread(reactor, _submit, master, builder, names, values)

        yield submit
    finally:
        blockingCallFromThread(reactor, _stop, master)
        reactor.callFromThread(reactor.stop)
        thread.join(30)


@defer.inlineCallbacks
def _set_up(master: Any, folder: Path) -> Any:
    master.config = MasterConfig()
    master.db.configured_db_config = DBConfig(f"sqlite:///{folder / 'state.sqlite'}", sqlite_options())
    yield master.db.setup(check_version=False)
    yield master.db.model.upgrade()
    yield master.mq.setup()
    builder = yield master.data.updates.findBuilderId("bench")
    return builder


@defer.inlineCallbacks
def _submit(master: Any, builder: int, names: Sequence[str], values: Sequence[str]) -> Any:
    # Buildbot's own batches of 3000; the build and the step need not exist, SQLite's foreign keys are off.
    submitter = TestResultSubmitter()
    yield submitter.setup_by_ids(master, builder, 1, 1, "bench", "pass_fail", "boolean")
    for name, value in zip(names, values, strict=True):
        submitter.add_test_result(value, test_name=name)
    yield submitter.finish()


@defer.inlineCallbacks
def _stop(master: Any) -> Any:
    yield master.db.pool.stop()
