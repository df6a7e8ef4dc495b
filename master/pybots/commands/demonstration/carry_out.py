"""Carries the demonstration out: machine, source, farm, interpreters, runs; then says what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pybots.commands import facts
from pybots.commands.demonstration.candidates import parse_version
from pybots.commands.demonstration.cpython_source import CPythonSource, Trunk
from pybots.commands.demonstration.farm_folder import (
    FolderError,
    Ports,
    choose_ports,
    copy_recipes,
    ports_before,
    recipes_for,
    write_farm,
)
from pybots.commands.demonstration.machine import make_fit, raise_without_sandbox
from pybots.commands.demonstration.outcome_table import table
from pybots.commands.demonstration.patience import PLANNING_SECONDS, Patience
from pybots.commands.demonstration.progress import Display, duration
from pybots.commands.demonstration.running_farm import RunningFarm
from pybots.commands.demonstration.stages import Standing, all_carried_out, farm_stages, waiting_stages
from pybots.commands.demonstration.timeline import Timeline, read_durations, save_durations
from pybots.commands.demonstration.watch import Watch
from pybots.commands.master_process import running_master
from pybots.commands.out import write_out
from pybots.commands.platform_here import platform_here
from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions, open_engine

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for."""

    folder: Path
    git: str | None
    cpython: str | None
    projects: tuple[str, ...]
    variants: tuple[str, ...]
    install: bool
    json_file: Path | None
    without_sandbox: bool = False


class Demonstration:
    """One demonstration in one folder; whoever makes one calls `stop` at the end, whatever happened."""

    def __init__(self, wishes: Wishes, display: Display) -> None:
        self.wishes = wishes
        self.display = display
        self.farm = FarmFolder(wishes.folder.absolute())
        self.own = self.farm.root / "demonstration"
        self.began = datetime.now(UTC)
        self.running = RunningFarm(self.farm, self.own / "logs", without_sandbox=wishes.without_sandbox)
        self._clock = time.monotonic()

    def carry_out(self) -> bool:
        """Do all of it; return whether every interpreter was proven and every suite was run."""
        recipes = self._check_wishes()
        durations = read_durations(self.own / "durations.json")
        with Timeline(self.display, time.monotonic, durations) as timeline:
            projects = [recipe.stem for recipe in recipes]
            timeline.farm(waiting_stages(self.wishes.variants, projects, durations))
            with timeline.stage("machine") as say:
                make_fit(self._saying(say), install=self.wishes.install)
                raise_without_sandbox(allowed=self.wishes.without_sandbox)
                say("has what a build needs")
            with timeline.stage("source") as say:
                trunk = CPythonSource(self.own, self._saying(say)).get(self.wishes.git, self.wishes.cpython)
                say(trunk.origin)
            with timeline.stage("farm") as say:
                ports = self._prepare(trunk, recipes)
                watch = self._watch(ports)
                again = watch.ran_before()
                self.running.start(ports, say)
                say(f"serves {ports.site_url}")
            standing = self._wait(watch, timeline, again=again)
        self._tell(standing, ports)
        save_durations(self.own / "durations.json", durations, timeline.seconds())
        self._write_json(watch, timeline, again=again)
        return all_carried_out(standing)

    def _saying(self, detail: Callable[[str], None]) -> Callable[[str], None]:
        def say(text: str) -> None:
            self.display.say(text)
            detail(text)

        return say

    def _check_wishes(self) -> list[Path]:
        """Refuse what cannot be done before anything is; return the recipes."""
        if running_master(self.farm) is not None:
            raise FolderError(
                f"a farm runs in {self.farm.root}; stop it with `pybots stop {self.farm.root}`, or give --dir"
            )
        if self.wishes.cpython and parse_version(self.wishes.cpython) is None:
            raise FolderError(f"--cpython {self.wishes.cpython!r} is not a version; write it like 3.13.5")
        return recipes_for(self.wishes.projects)

    def _prepare(self, trunk: Trunk, recipes: Sequence[Path]) -> Ports:
        copy_recipes(self.farm.root, recipes)
        ports = choose_ports(ports_before(self.farm.root))
        write_farm(
            self.farm.root,
            git=trunk.git,
            branch=trunk.branch,
            variants=self.wishes.variants,
            platform=platform_here(),
            ports=ports,
        )
        return ports

    def _watch(self, ports: Ports) -> Watch:
        # The master brings the tables up to date too; here it is done before the first question.
        from pybots.database.migrate import migrate  # noqa: PLC0415

        url = self.farm.database_url(FarmConfiguration.model_fields["database"].default.results)
        engine = open_engine(url)
        migrate(engine)
        return Watch(Sessions(engine), ports.operators_url, self.wishes.variants, self.began)

    def _wait(self, watch: Watch, timeline: Timeline, *, again: bool) -> Standing:
        """Wait until nothing is left to do; with *again*, have every suite run once more first."""
        known = read_durations(self.own / "durations.json")
        patience = Patience(0.0 if again else PLANNING_SECONDS, time.monotonic())
        troubles: set[str] = set()
        while True:
            self.running.check()
            now = datetime.now(UTC)
            standing = watch.standing(again=again)
            if standing.interpreters:
                timeline.farm(farm_stages(standing, now, known))
            if standing.complete and standing.expected:
                return standing
            for trouble in watch.troubles(now):
                if trouble not in troubles:
                    troubles.add(trouble)
                    self.display.say(f"the farm says: {trouble}")
            if patience.is_over(standing, time.monotonic()):
                return standing
            if patience.should_ask(standing, time.monotonic()):
                watch.ask_to_run_again(now)
            time.sleep(LOOK_SECONDS)

    def _tell(self, standing: Standing, ports: Ports) -> None:
        lines = ["", table(standing), ""]
        for project, problem in standing.set_aside:
            lines.append(f"{project} is set aside: {problem}")
        lines += [
            f"all of it took {duration(time.monotonic() - self._clock)}",
            f"the page:               {ports.site_url}",
            f"Buildbot's, to operate: {ports.operators_url}",
        ]
        self.display.say("\n".join(lines))

    def _write_json(self, watch: Watch, timeline: Timeline, *, again: bool) -> None:
        if self.wishes.json_file is None:
            return
        since = self.began if again else None
        seconds = time.monotonic() - self._clock
        answer: dict[str, Any] = facts.gather(watch.sessions, since, seconds)
        answer["cost"]["stages"] = timeline.seconds()
        write_out(self.wishes.json_file, answer)

    def serve(self) -> None:
        """Go on until interrupted; raises ChildEndedError when a process of the farm is gone."""
        while True:
            self.running.check()
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End everything that was started."""
        self.running.stop()
