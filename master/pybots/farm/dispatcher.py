"""Turns each want into a Buildbot request, once per key, and settles what Buildbot ended without a result."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from buildbot.data import resultspec
from buildbot.process.properties import Properties
from buildbot.process.results import CANCELLED, RETRY
from twisted.internet import defer
from twisted.internet.threads import deferToThread
from twisted.python import log

from pybots.commits.rounds import WANTED, RoundsService
from pybots.config.model import FarmConfiguration
from pybots.farm.judge import Judge
from pybots.farm.names import INTERPRETERS, PROJECT_TESTS, TRIALS
from pybots.farm.parts import Parts, platforms
from pybots.farm.placing import placement_properties
from pybots.farm.planning import Planner
from pybots.farm.requests import apply_requests
from pybots.interpreters import records as interpreters
from pybots.interpreters.plan import TrackName
from pybots.interpreters.records import WantedInterpreter
from pybots.interpreters.steps import MAXIMUM_ATTEMPTS
from pybots.results.store import record_lost
from pybots.runs import records as runs
from pybots.runs.records import WantedRun
from pybots.runs.status import RunStatus
from pybots.runs.steps import run_properties

AT_ONCE = 200
"""Requests made in one round; the rest waits for the next."""
ROUND_SECONDS = 1.0
RECONCILE_ROUNDS = 60
"""Every so many rounds, what was requested is compared with what Buildbot knows."""
FIRST_RECONCILING = 3
EVERYTHING = 100_000


def interpreter_properties(wanted: WantedInterpreter) -> dict[str, Any]:
    """Return the properties of the Buildbot request for an interpreter."""
    track: TrackName = wanted.track
    placed = {"on_worker": wanted.on_worker, "not_on": list(wanted.not_on)}
    return {
        **{name: value for name, value in placed.items() if value},
        "interpreter_key": wanted.key,
        "virtual_builder_name": f"interpreter · {track}",
        "virtual_builder_tags": ["interpreter", track.branch, track.variant, track.platform],
        "reason": f"interpreter {wanted.key}",
    }


class Dispatcher(RoundsService):
    """The one place from which work is started. Asking twice is harmless: work is claimed by its key."""

    name = "dispatcher"
    _consumers: Sequence[Any] = ()
    _round_number = 0

    @defer.inlineCallbacks
    def reconfigService(self, *, parts: Parts, configuration: FarmConfiguration) -> Any:
        """Take over a new configuration; from the first one on, listen for builds that end."""
        self.parts = parts
        self.planner = Planner(parts, configuration)
        self.judge = Judge(parts, configuration)
        self.platforms = platforms(configuration)
        if not self._consumers:
            consuming = self.master.mq.startConsuming
            builds = yield consuming(self._build_finished, ("builds", None, "finished"))
            requests = yield consuming(self._request_complete, ("buildrequests", None, "complete"))
            wants = yield consuming(lambda *_: self.hasten(), WANTED)
            self._consumers = [builds, requests, wants]
        self.begin(ROUND_SECONDS)

    @defer.inlineCallbacks
    def stopService(self) -> Any:
        """Begin no new round, and hear of no more builds."""
        for consumer in self._consumers:
            yield consumer.stopConsuming()
        self._consumers = []
        yield super().stopService()

    async def round(self) -> None:
        """Apply what people ask, and turn wants into requests; now and then compare with what Buildbot knows."""
        number = self._round_number
        self._round_number += 1
        # Not in the first round: Buildbot itself has still to take up what its last life left.
        if number % RECONCILE_ROUNDS == FIRST_RECONCILING:
            await self._reconcile()
            await deferToThread(self.planner.for_newest)
        await deferToThread(apply_requests, self.parts, self.planner)
        # What waits for a worker that is away is not asked for: it would stand in the way of everything behind it.
        wanted = await deferToThread(self._wanted, ["wanted"], AT_ONCE, self._here())
        wanted_interpreters, wanted_runs = wanted
        await self._ask(wanted_interpreters, wanted_runs)
        await self._judge()
        if self.parts.placements.held:
            # A machine that is idle again is no event for the builders that wait for it.
            self.parts.placements.held = False
            self.master.botmaster.maybeStartBuildsForAllBuilders()

    async def _judge(self) -> None:
        """Decide on what came in; what that wants is asked for at once, so that nobody waits for the next round."""
        if not await deferToThread(self.judge):
            return
        _, wanted_runs = await deferToThread(self._wanted, ["wanted"], AT_ONCE, self._here())
        await self._ask([], wanted_runs)

    def _here(self) -> list[str]:
        return [name for name, worker in self.master.workers.workers.items() if worker.conn is not None]

    def _wanted(
        self, states: list[str], limit: int, workers: list[str] | None = None
    ) -> tuple[list[WantedInterpreter], list[WantedRun]]:
        # What a platform without any worker wants waits until one has it again, in nobody's way.
        now = self.parts.clock()
        with self.parts.sessions.reading() as session:
            return (
                interpreters.in_state(session, states, self.platforms, now, limit),
                runs.in_state(session, states, self.platforms, now, limit, workers),
            )

    async def _ask(self, wanted_interpreters: list[WantedInterpreter], wanted_runs: list[WantedRun]) -> None:
        asked: list[str] = []
        for wanted in wanted_interpreters:
            name = f"{INTERPRETERS}-{wanted.track.platform}"
            if await self._trigger(name, interpreter_properties(wanted), wanted.track.branch, wanted.commit):
                asked.append(wanted.key)
        for run in wanted_runs:
            name = f"{TRIALS if run.trial else PROJECT_TESTS}-{run.track.platform}"
            properties = run_properties(run) | placement_properties(run)
            if await self._trigger(name, properties, run.track.branch, None):
                asked.append(run.key)
        if asked:
            await deferToThread(self._note_requested, asked)

    def _note_requested(self, keys: list[str]) -> None:
        with self.parts.sessions.writing() as session:
            interpreters.mark_requested(session, keys)
            runs.mark_requested(session, keys)

    async def _trigger(
        self, scheduler: str, properties: dict[str, Any], branch: str, commit: str | None
    ) -> bool:
        triggerable = self.master.scheduler_manager.namedServices.get(scheduler)
        if triggerable is None:
            # A platform that no worker has any more: the want waits until one has it again.
            return False
        given = Properties()
        given.update(properties, "dispatcher")
        stamp = {"codebase": "", "repository": "", "project": "", "branch": branch, "revision": commit}
        ids, ended = triggerable.trigger(waited_for=False, sourcestamps=[stamp], set_props=given)
        # How it ended is saved by the build's own steps; the trigger's view of it is not needed.
        ended.addBoth(lambda _: None)
        await ids
        return True

    async def _reconcile(self) -> None:
        """Ask again for what was requested or running and is unknown to Buildbot: a master that was killed."""
        live = await self._live_keys()
        lost_interpreters, lost_runs = await deferToThread(self._wanted, ["requested", "running"], EVERYTHING)
        await self._ask(
            [wanted for wanted in lost_interpreters if wanted.key not in live],
            [run for run in lost_runs if run.key not in live],
        )

    async def _live_keys(self) -> set[str]:
        live = {*self.parts.building.values(), *self.parts.running.values()}
        requests = await self.master.data.get(
            ("buildrequests",), filters=[resultspec.Filter("complete", "eq", [False])]
        )
        for request in requests:
            live.update((await self._keys(request)).values())
        return live

    async def _keys(self, request: dict[str, Any]) -> dict[str, str]:
        properties = await self.master.data.get(("buildsets", request["buildsetid"], "properties"))
        return {name: properties[name][0] for name in ("interpreter_key", "run_key") if name in properties}

    def _build_finished(self, _routing_key: Any, build: dict[str, Any]) -> None:
        settled = defer.Deferred.fromCoroutine(self._settle(build))
        settled.addErrback(lambda failure: log.err(failure, f"build {build['buildid']} could not be settled"))

    async def _settle(self, build: dict[str, Any]) -> None:
        """Save the end of work that Buildbot stopped, unless it is retried or its own step saved it."""
        interpreter = self.parts.building.pop(build["buildid"], None)
        run = self.parts.running.pop(build["buildid"], None)
        incoming = self.parts.folder.incoming / f"build-{build['buildid']}"
        await deferToThread(shutil.rmtree, incoming, ignore_errors=True)
        if build["results"] == RETRY:
            return
        detail = f"Buildbot's build {build['buildid']} ended without a result: {build['state_string']}"
        cancelled = build["results"] == CANCELLED
        await deferToThread(self._settle_keys, interpreter, run, cancelled, detail)

    def _settle_keys(self, interpreter: str | None, run: str | None, cancelled: bool, detail: str) -> None:
        """Finish what was cancelled; what failed for the farm's own reasons is tried again while attempts remain."""
        status = RunStatus.CANCELLED if cancelled else RunStatus.FARM_ERROR
        now = self.parts.clock()
        with self.parts.sessions.writing() as session:
            if interpreter is not None and (
                cancelled or not interpreters.release(session, interpreter, MAXIMUM_ATTEMPTS, now)
            ):
                interpreters.finish_without_result(session, interpreter, status, detail, now)
            if (
                run is not None
                and not cancelled
                and runs.release(session, run, MAXIMUM_ATTEMPTS, now, detail)
            ):
                run = None
        if run is not None:
            record_lost(self.parts.sessions, run, status, detail, now)

    def _request_complete(self, _routing_key: Any, request: dict[str, Any]) -> None:
        self.parts.placements.forget(request["buildrequestid"])
        if request["results"] == CANCELLED:
            settled = defer.Deferred.fromCoroutine(self._settle_cancelled(request))
            settled.addErrback(lambda failure: log.err(failure, "a cancelled request could not be settled"))

    async def _settle_cancelled(self, request: dict[str, Any]) -> None:
        """An operator took a request back before any build began on it."""
        keys = await self._keys(request)
        interpreter, run = keys.get("interpreter_key"), keys.get("run_key")
        await deferToThread(self._settle_keys, interpreter, run, True, "cancelled by an operator")
