"""One side of `bench.builds`: a real Buildbot master that counts its own builds and prints them, a JSON object a line.

It is a process of its own, because a process can run one master once, and because its memory is measured.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import psutil
from buildbot.config.builder import BuilderConfig
from buildbot.config.master import DBConfig, MasterConfig
from buildbot.interfaces import IConfigLoader
from buildbot.master import BuildMaster
from buildbot.process.factory import BuildFactory
from buildbot.schedulers.triggerable import Triggerable
from buildbot.steps.shell import ShellCommand
from buildbot.worker.local import LocalWorker
from twisted.internet import defer, task
from twisted.internet import reactor as untyped_reactor
from twisted.python.failure import Failure
from twisted.python.log import startLogging
from zope.interface import implementer

from pybots.farm.configure import prioritize, sqlite_options
from pybots.farm.master import make_quicker

reactor: Any = untyped_reactor


@implementer(IConfigLoader)
class Loader:
    """Configures so many real builders, each on every worker, with the farm's own two settings."""

    def __init__(self, folder: Path, builders: int, workers: int, *, of_the_farm: bool) -> None:
        self.url = f"sqlite:///{folder / 'state.sqlite'}"
        self.of_the_farm = of_the_farm
        self.builders = [f"builder{number}" for number in range(builders)]
        self.workers = [f"worker{number}" for number in range(workers)]

    def loadConfig(self) -> MasterConfig:  # noqa: N802  (Buildbot's name)
        """Return Buildbot's configuration."""
        factory = BuildFactory([ShellCommand(command=["true"], logEnviron=False)])
        configuration: dict[str, Any] = {
            "buildbotNetUsageData": None,
            "db": {"db_url": self.url, "engine_kwargs": sqlite_options()},
            "protocols": {"null": {}},
            "schedulers": [Triggerable(name="bench", builderNames=self.builders)],
            "workers": [LocalWorker(name, max_builds=1) for name in self.workers],
            "builders": [
                BuilderConfig(name=name, workernames=self.workers, factory=factory, collapseRequests=False)
                for name in self.builders
            ],
            "collapseRequests": False,
            "prioritizeBuilders": prioritize,
        }
        return MasterConfig.loadFromDict(configuration, "bench")


def say(**facts: Any) -> None:
    """Print one line for the process that started this one."""
    print(json.dumps(facts), flush=True)


async def _upgrade(folder: Path, loader: Loader) -> None:
    master = BuildMaster(str(folder), config_loader=loader)
    master.db.configured_db_config = DBConfig(loader.url)
    await master.db.setup(check_version=False)
    await master.db.model.upgrade()


async def _ask(master: Any, loader: Loader, projects: int, numbers: range) -> None:
    """Ask for builds, spread over all builders; those that have fewer real ones than projects name virtual ones."""
    for number in numbers:
        project = number * 7919 % projects  # a prime: they come in no order of the builders
        name = loader.builders[project % len(loader.builders)]
        virtual = {"virtual_builder_name": f"project{project}"} if loader.of_the_farm else {}
        await master.data.updates.addBuildset(
            waited_for=False,
            builderids=[await master.data.updates.findBuilderId(name)],
            properties={key: (value, "bench") for key, value in virtual.items()},
            sourcestamps=[
                {"codebase": "", "repository": "", "project": "", "branch": None, "revision": None}
            ],
            reason="bench",
        )


async def _measure(
    master: Any, loader: Loader, projects: int, requests: int, seconds: float, steady: bool
) -> None:
    """Count builds; with *steady*, another one is asked for whenever one ends."""
    finished: list[float] = []

    def count(_key: Any, _build: Any) -> None:
        finished.append(time.monotonic())
        if steady:
            number = requests + len(finished)
            defer.ensureDeferred(_ask(master, loader, projects, range(number, number + 1)))

    await master.mq.startConsuming(count, ("builds", None, "finished"))
    workers = master.workers.workers.values()
    for worker in workers:
        worker.pause("until all is asked for")
    await _ask(master, loader, projects, range(requests))
    started, processor = time.monotonic(), time.process_time()
    for worker in workers:
        worker.unpause()
    while time.monotonic() - started < seconds and (steady or len(finished) < requests):
        await task.deferLater(reactor, 0.1)
    took, done = time.monotonic() - started, len(finished)
    say(
        builds_per_second=done / took,
        processor_ms=1000 * (time.process_time() - processor) / max(done, 1),
        resident_mb=psutil.Process().memory_info().rss / 1e6,
    )


async def _run(
    folder: Path, loader: Loader, projects: int, requests: int, seconds: float, steady: bool
) -> None:
    if not (folder / "state.sqlite").exists():
        await _upgrade(folder, loader)
    began = time.monotonic()
    master = BuildMaster(str(folder), config_loader=loader)
    if loader.of_the_farm:
        make_quicker(master)
    await master.startService()
    if master.masterHeartbeatService.parent is None:  # Buildbot logs why, and stops the reactor
        raise RuntimeError((folder / "twistd.log").read_text()[-3000:])
    say(start_seconds=time.monotonic() - began)
    if requests:
        await _measure(master, loader, projects, requests, seconds, steady)
    began = time.monotonic()
    await master.stopService()
    say(stop_seconds=time.monotonic() - began)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--builders", required=True, type=int, help="Real builders.")
@click.option("--projects", required=True, type=int, help="Builders that people see, real or virtual.")
@click.option("--workers", default=8)
@click.option("--requests", default=0, help="Builds asked for; none: start and stop.")
@click.option("--seconds", default=20.0, help="How long builds are counted.")
@click.option("--steady", is_flag=True, help="Ask for another build whenever one ends.")
def main(
    folder: Path,
    builders: int,
    projects: int,
    workers: int,
    requests: int,
    seconds: float,
    steady: bool,
) -> None:
    """Run one master in FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    startLogging((folder / "twistd.log").open("a"), setStdout=False)  # type: ignore[no-untyped-call]
    loader = Loader(folder.absolute(), builders, workers, of_the_farm=builders < projects)
    failed: list[Failure] = []

    def begin() -> None:
        done: Any = defer.Deferred.fromCoroutine(
            _run(folder.absolute(), loader, projects, requests, seconds, steady)
        )
        done.addErrback(failed.append)
        done.addBoth(lambda _: reactor.callWhenRunning(reactor.stop) if reactor.running else None)

    reactor.callWhenRunning(begin)
    reactor.run()
    if failed:
        print(failed[0].getTraceback(), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
