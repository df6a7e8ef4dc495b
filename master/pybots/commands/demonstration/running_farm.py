"""Talks to the processes of a farm on this machine: the master, its workers, the site."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import httpx

from pybots.commands.demonstration.children import Child, own_program, stop_all
from pybots.commands.demonstration.farm_folder import HOST, WORKERS, Ports
from pybots.commands.master_process import running_master, stop_master
from pybots.config.folder import FarmFolder
from pybots_worker.sandbox.words import ALLOW

START_SECONDS = 180.0
STOP_MASTER_SECONDS = 20.0
LOOK_SECONDS = 0.2
ONLY = "--run-projects-in-a-sandbox-only"


class NotStartedError(Exception):
    """A process of the farm did not come up in time; the message says which, and where its log is."""


class RunningFarm:
    """The farm in *farm*'s folder, which listens on *ports*; logs go to the folder *logs*.

    *environment* has variables of single workers, by name; *site* says whether the status page is served.
    """

    def __init__(
        self,
        farm: FarmFolder,
        logs: Path,
        *,
        without_sandbox: bool = False,
        workers: Sequence[str] = WORKERS,
        environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        site: bool = True,
    ) -> None:
        self.farm = farm
        self.logs = logs
        self.workers = workers
        self.environment = environment
        self.site = site
        self._sandbox = ALLOW if without_sandbox else ONLY
        self._children: list[Child] = []

    def start(self, ports: Ports, say: Callable[[str], None]) -> None:
        """Start everything, and return once master and site answer.

        Raises NotStartedError, and ChildEndedError when one of them ends instead.
        """
        say("the master starts")
        pybots, folder = own_program("pybots"), str(self.farm.root)
        self._child("master", [pybots, "start", folder, "--foreground"])
        self._until(lambda: self._master_is_ready(ports), "the master")
        say("the workers and the site start" if self.site else "the workers start")
        for worker in self.workers:
            variables = self.environment.get(worker, {})
            self._child(f"worker-{worker}", self._worker_command(worker, ports), variables)
        if self.site:
            self._child("site", [pybots, "site", folder])
            self._until(lambda: _answers(ports.site_url), "the site")

    def _worker_command(self, worker: str, ports: Ports) -> list[str]:
        return [
            *(own_program("pybots-worker"), "start", str(self.farm.root / "workers" / worker)),
            *("--master", f"{HOST}:{ports.workers}", "--name", worker),
            *("--password-file", str(self.farm.root / "passwords" / worker), self._sandbox),
        ]

    def _child(
        self, name: str, command: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        log = self.logs / f"{name}.log"
        self._children.append(Child(name, command, self.farm.root, log, variables))

    def _master_is_ready(self, ports: Ports) -> bool:
        process = running_master(self.farm)
        return process is not None and _answers(f"http://{HOST}:{ports.store}/ready", str(process.pid))

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise NotStartedError(
                    f"{what} did not answer within {START_SECONDS:.0f} s; its log is in {self.logs}"
                )
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """Raise ChildEndedError when one of the processes is gone."""
        for child in self._children:
            child.check()

    def stop(self) -> None:
        """End everything that was started; the master first, so that it does not take its workers for lost."""
        if self._children:
            stop_master(self.farm.root, timeout=STOP_MASTER_SECONDS)
        stop_all(self._children)


def _answers(url: str, text: str | None = None) -> bool:
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and (text is None or answer.text == text)
