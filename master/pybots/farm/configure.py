"""Makes Buildbot's configuration out of the farm's: few real builders, and our services beside them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from buildbot.config.builder import BuilderConfig
from buildbot.process.buildstep import BuildStep
from buildbot.process.factory import BuildFactory
from buildbot.schedulers.triggerable import Triggerable
from sqlalchemy.pool import QueuePool

from pybots.commits.poller import CommitPoller
from pybots.config.model import FarmConfiguration
from pybots.config.slots import slots
from pybots.farm.addresses import addresses_of
from pybots.farm.attendance import Attendance
from pybots.farm.dispatcher import Dispatcher
from pybots.farm.handout import Handout
from pybots.farm.names import INTERPRETERS, PROJECT_TESTS, TRIALS
from pybots.farm.parts import Parts, platforms
from pybots.farm.placing import MayStart
from pybots.farm.planning import Planner
from pybots.farm.poll import PollRound
from pybots.farm.tidy_store import TidyStore
from pybots.fleet.sandbox import INFO, sandbox_of
from pybots.fleet.worker import AttendedWorker
from pybots.interpreters import plan as interpreter_plan
from pybots.interpreters.records import WantedInterpreter
from pybots.interpreters.steps import WORK_FOLDER
from pybots.interpreters.store_steps import MakeInterpreter
from pybots.results.steps import IngestRun
from pybots.results.store import record_lost
from pybots.runs.status import RunStatus
from pybots.runs.steps import CarryOutRun, TriggerRuns
from pybots_worker.contract import InterpreterSpecification, RunSpecification

LOG_BYTES = 4 << 20


class QuickConnection(sqlite3.Connection):
    """An SQLite connection that does not wait for the disk at every commit; the write-ahead log keeps it whole."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA synchronous=NORMAL")
        self.execute("PRAGMA busy_timeout=30000")


def build_dictionary(parts: Parts, configuration: FarmConfiguration) -> dict[str, Any]:
    """Return what a `master.cfg` would call BuildmasterConfig. *parts* stay the same for a master's life."""
    names = {platform: _worker_names(configuration, platform) for platform in platforms(configuration)}
    return {
        "title": configuration.farm.name,
        "titleURL": configuration.farm.url,
        "buildbotURL": f"http://127.0.0.1:{configuration.master.operators_port}/",
        "buildbotNetUsageData": None,
        "db": _database(parts, configuration),
        "protocols": {"pb": {"port": _endpoint(configuration, configuration.master.workers_port)}},
        "www": {
            "port": f"tcp:{configuration.master.operators_port}:interface=127.0.0.1",
            "plugins": {},
        },
        "workers": _workers(parts, configuration),
        "builders": [
            builder
            for platform, (trusted, everyone) in names.items()
            for builder in (
                _interpreter_builder(parts, configuration, platform, trusted),
                _project_tests_builder(parts, configuration, platform, everyone),
            )
        ],
        "schedulers": [
            *(
                Triggerable(name=f"{kind}-{platform}", builderNames=[f"{kind}-{platform}"])
                for platform in names
                for kind in (INTERPRETERS, PROJECT_TESTS)
            ),
            *(
                Triggerable(
                    name=f"{TRIALS}-{platform}", builderNames=[f"{PROJECT_TESTS}-{platform}"], priority=1
                )
                for platform in names
            ),
        ],
        "services": _services(parts, configuration),
        # Default collapsing ignores a trigger's properties: it would merge projects and drop commits.
        "collapseRequests": False,
        "prioritizeBuilders": prioritize,
        "logMaxSize": LOG_BYTES,
        "logMaxTailSize": LOG_BYTES // 4,
    }


def prioritize(_master: Any, builders: list[Any]) -> list[Any]:
    """Rank builders from memory, interpreters first: Buildbot's own ranking asks the database twice a builder."""
    return sorted(builders, key=lambda builder: (not builder.name.startswith(INTERPRETERS), builder.name))


def _endpoint(configuration: FarmConfiguration, port: int) -> str:
    # A colon ends a part of an endpoint's description: those of an IPv6 address are escaped.
    return f"tcp:{port}:interface={configuration.master.listen.replace(':', chr(92) + ':')}"


def sqlite_options() -> dict[str, Any]:
    """Return the engine's options for Buildbot's own database in SQLite.

    Buildbot opens a connection for every call by default; a pool makes four times as many builds a second.
    """
    return {
        "poolclass": QueuePool,
        "pool_size": 5,
        "connect_args": {"factory": QuickConnection, "check_same_thread": False},
    }


def _database(parts: Parts, configuration: FarmConfiguration) -> dict[str, Any]:
    url = parts.folder.database_url(configuration.database.buildbot)
    return {"db_url": url, "engine_kwargs": sqlite_options() if url.startswith("sqlite") else {}}


def _workers(parts: Parts, configuration: FarmConfiguration) -> list[AttendedWorker]:
    return [
        AttendedWorker(
            name,
            parts.folder.relative(worker.password_file).read_text().strip(),
            ask_seconds=configuration.master.keepalive_seconds,
            max_builds=1,
        )
        for worker in configuration.worker
        for name in slots(worker)
    ]


def _worker_names(configuration: FarmConfiguration, platform: str) -> tuple[list[str], list[str]]:
    here = [worker for worker in configuration.worker if worker.platform == platform]
    trusted = [name for worker in here if worker.interpreters for name in slots(worker)[:1]]
    return trusted, [name for worker in here for name in slots(worker)]


def _builder(name: str, workers: list[str], steps: list[BuildStep], can_start: Any = None) -> BuilderConfig:
    factory = BuildFactory(steps)
    factory.workdir = WORK_FOLDER
    return BuilderConfig(
        name=name, workernames=workers, factory=factory, collapseRequests=False, canStartBuild=can_start
    )


def may_run_projects(_builder: Any, workerforbuilder: Any, _request: Any) -> bool:
    """Whether a worker has a sandbox, or its owner allowed it to do without; asked before each run."""
    return sandbox_of(workerforbuilder.worker.info.getProperty(INFO)).takes_runs


def _claiming(parts: Parts, under_way: dict[int, str]) -> tuple[Any, ...]:
    return parts.sessions, parts.folder.incoming, parts.clock, under_way, parts.began


def _interpreter_builder(
    parts: Parts, configuration: FarmConfiguration, platform: str, workers: list[str]
) -> BuilderConfig:
    trunk = addresses_of(configuration).trunk

    def specify(wanted: WantedInterpreter) -> InterpreterSpecification | None:
        if wanted.track.variant not in configuration.variants:
            return None
        return interpreter_plan.specification_for(
            wanted.track,
            wanted.commit,
            git=trunk,
            variants=configuration.variants,
            key=wanted.key,
            clean=wanted.trial,
        )

    make = MakeInterpreter(*_claiming(parts, parts.building), store=parts.store, specify=specify)
    trigger = TriggerRuns(
        Planner(parts, configuration).for_interpreter,
        schedulerNames=[f"{PROJECT_TESTS}-{platform}"],
        name="trigger runs",
    )
    may_start = MayStart(parts.placements, configuration, parts.clock)
    return _builder(f"{INTERPRETERS}-{platform}", workers, [make, trigger], may_start)


def _project_tests_builder(
    parts: Parts, configuration: FarmConfiguration, platform: str, workers: list[str]
) -> BuilderConfig:
    def give_up(key: str, detail: str) -> None:
        record_lost(parts.sessions, key, RunStatus.WORKER_LOST, detail, parts.clock())

    def ingest(specification: RunSpecification, incoming: Path, worker: str) -> BuildStep:
        return IngestRun(
            parts.sessions, parts.clock, specification.key, specification.report, incoming, worker
        )

    refresh = Planner(parts, configuration).refresh
    claiming = _claiming(parts, parts.running)
    carry_out = CarryOutRun(*claiming, give_up=give_up, ingest=ingest, refresh=refresh)
    may_start = MayStart(parts.placements, configuration, parts.clock, may_run_projects)
    return _builder(f"{PROJECT_TESTS}-{platform}", workers, [carry_out], may_start)


def _services(parts: Parts, configuration: FarmConfiguration) -> list[Any]:
    packages = configuration.packages.folder
    return [
        Handout(
            port=_endpoint(configuration, configuration.master.store_port),
            store=str(parts.folder.store),
            sources=str(parts.folder.sources),
            packages=str(parts.folder.relative(packages)) if packages else "",
            trunk=str(parts.folder.trunk),
        ),
        Attendance(parts=parts, configuration=configuration),
        TidyStore(parts=parts, configuration=configuration),
        Dispatcher(parts=parts, configuration=configuration),
        CommitPoller(seconds=configuration.trunk.poll_seconds, poll=PollRound(parts, configuration)),
    ]
