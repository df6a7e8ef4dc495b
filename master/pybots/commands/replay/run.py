"""Carries a replay out: a farm is started, the heads are shown one after the other, and what was found is written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pybots.commands import facts
from pybots.commands.demonstration.farm_folder import FolderError, Ports, choose_ports
from pybots.commands.demonstration.machine import raise_without_sandbox
from pybots.commands.demonstration.progress import Display, duration
from pybots.commands.demonstration.running_farm import RunningFarm
from pybots.commands.master_process import reconfigure_master
from pybots.commands.out import write_out
from pybots.commands.platform_here import platform_here
from pybots.commands.replay.events import Setting, settings
from pybots.commands.replay.farm import ReplayFolder
from pybots.commands.replay.heads import Heads, prepare_heads
from pybots.commands.replay.progress import HeadsProgress
from pybots.commands.replay.read import Replay, read_replay
from pybots.commands.replay.settled import HeadStanding, outcome
from pybots.commands.replay.watch import Watch
from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate

LOOK_SECONDS = 0.3
PLANNING_SECONDS = 150.0
"""A run that is to come is planned within this time: the master looks for forgotten ones every minute."""


class NotSettledError(Exception):
    """A head did not come to rest in time; the message says which, and what was under way."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for; `patience` is how many seconds nothing at all may change."""

    file: Path
    folder: Path
    json_file: Path
    patience: float
    without_sandbox: bool


class ReplayRun:
    """One replay in a folder of its own; whoever makes one calls `stop` at the end, whatever happened."""

    def __init__(self, wishes: Wishes, display: Display) -> None:
        self.wishes = wishes
        self.display = display
        self.root = wishes.folder.absolute()
        self._running: RunningFarm | None = None
        self._clock = time.monotonic()

    def carry_out(self) -> bool:
        """Do all of it; return whether every head came to rest."""
        replay = read_replay(self.wishes.file, platform_here())
        raise_without_sandbox(allowed=self.wishes.without_sandbox)
        folder = ReplayFolder(self._empty_folder(), replay, platform_here())
        heads = self._prepare_heads(replay, folder)
        every = settings(replay.content.event, len(heads.commits))
        ports = choose_ports({}, anywhere=True)
        folder.write(ports, every[0])
        watch = self._watch(replay)
        heads.show(0)
        self._start(folder, ports)
        try:
            self._show_all(heads, every, folder, ports, watch)
        finally:
            # What was found is worth having even where the last of it is not there.
            self._write(watch, heads)
        return True

    def _empty_folder(self) -> Path:
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            msg = f"{self.root} is not empty; give --dir a folder that is new, or delete this one"
            raise FolderError(msg)
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root

    def _prepare_heads(self, replay: Replay, folder: ReplayFolder) -> Heads:
        try:
            return prepare_heads(replay, folder.repository)
        except BaseException:
            # With nothing left behind, the same command serves once the file is mended.
            shutil.rmtree(folder.repository, ignore_errors=True)
            raise

    def _watch(self, replay: Replay) -> Watch:
        url = FarmFolder(self.root).database_url(FarmConfiguration.model_fields["database"].default.results)
        engine = open_engine(url)
        migrate(engine)
        recipes = {name: registered.recipe for name, registered in replay.recipes.items()}
        return Watch(Sessions(engine), replay.content.trunk.branch, recipes)

    def _start(self, folder: ReplayFolder, ports: Ports) -> None:
        self._running = RunningFarm(
            FarmFolder(self.root),
            self.root / "logs",
            without_sandbox=self.wishes.without_sandbox,
            workers=folder.workers,
            environment=folder.variables(),
            site=False,
        )
        self._running.start(ports, self.display.say)

    def _show_all(
        self, heads: Heads, every: Sequence[Setting], folder: ReplayFolder, ports: Ports, watch: Watch
    ) -> None:
        with HeadsProgress(self.display, time.monotonic, heads.commits) as progress:
            for index, setting in enumerate(every):
                if index:
                    self._change(folder, ports, every[index - 1], setting)
                    heads.show(index)
                progress.begin(index)
                standing = self._settle(index, heads, watch, progress)
                progress.end(index, outcome(standing))
            folder.write_fault(Setting())

    def _change(self, folder: ReplayFolder, ports: Ports, before: Setting, now: Setting) -> None:
        folder.write_recipes(now)
        folder.write_fault(now)
        if now.packages != before.packages:
            folder.write_configuration(ports, now)
            answer = reconfigure_master(self.root)
            if answer.problems:
                raise NotSettledError("the farm refuses its new packages: " + "; ".join(answer.problems))

    def _settle(self, index: int, heads: Heads, watch: Watch, progress: HeadsProgress) -> HeadStanding:
        """Wait until the head *index* is settled. Raises NotSettledError, ChildEndedError."""
        last = index == len(heads.commits) - 1
        before, changed = HeadStanding(), time.monotonic()
        troubles: set[str] = set()
        while True:
            assert self._running is not None
            self._running.check()
            standing = watch.standing(heads.commits[index])
            progress.detail(index, standing.words())
            if standing.settled(last=last):
                return standing
            if last and standing.resting and standing.waiting:
                watch.nothing_more_comes(datetime.now(UTC))
            for trouble in watch.troubles():
                if trouble not in troubles:
                    troubles.add(trouble)
                    self.display.say(f"the farm says: {trouble}")
            if standing != before:
                before, changed = standing, time.monotonic()
            self._lose_patience(index, standing, time.monotonic() - changed)
            time.sleep(LOOK_SECONDS)

    def _lose_patience(self, index: int, standing: HeadStanding, seconds: float) -> None:
        unplanned = standing.resting and standing.missing and seconds > PLANNING_SECONDS
        if unplanned or seconds > self.wishes.patience:
            names = f" ({', '.join(standing.missing)})" if standing.missing else ""
            msg = f"head {index} did not come to rest: {standing.words()}{names}, for {duration(seconds)}"
            raise NotSettledError(f"{msg}; the logs are in {self.root / 'logs'} and {self.root / 'master'}")

    def _write(self, watch: Watch, heads: Heads) -> None:
        seconds = time.monotonic() - self._clock
        write_out(self.wishes.json_file, facts.gather(watch.sessions, seconds=seconds, heads=heads.commits))

    def stop(self) -> None:
        """End everything that was started."""
        if self._running is not None:
            self._running.stop()
