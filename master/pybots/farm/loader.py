"""Buildbot's configuration loader: farm.toml, the last good one where it is broken, and a word about which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.config.master import MasterConfig
from buildbot.interfaces import IConfigLoader
from twisted.python import log
from zope.interface import implementer

from pybots.config import last_good
from pybots.config.files import write_atomically
from pybots.config.folder import FarmFolder
from pybots.config.last_good import Loaded
from pybots.config.model import FarmConfiguration
from pybots.config.problems import ConfigurationError, Problem
from pybots.database import conditions
from pybots.farm.addresses import ready_address
from pybots.farm.configure import build_dictionary
from pybots.farm.parts import Parts, open_parts, utc_now

CONDITION = "configuration"


@implementer(IConfigLoader)
class FarmLoader:
    """Loads the configuration of the farm in *root*; keeps the open parts from one loading to the next."""

    def __init__(self, root: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.root = root
        self.clock = clock
        self.parts: Parts | None = None
        self.loaded: Loaded | None = None

    def loadConfig(self) -> MasterConfig:
        """Return Buildbot's configuration; raises ConfigErrors where neither farm.toml nor a last good one loads.

        A running master that gets ConfigErrors goes on as it is.
        """
        try:
            self.loaded, configuration = self._load()
        except ConfigurationError as error:
            self._answer(error.problems, from_last_good=False)
            raise ConfigErrors([str(problem) for problem in error.problems]) from error
        return configuration

    def _load(self) -> tuple[Loaded, MasterConfig]:
        loaded = last_good.load(self.root)
        try:
            return loaded, self._translate(loaded.configuration)
        except ConfigErrors as error:
            refused = [
                Problem("farm.toml", None, "", f"Buildbot refuses it: {text}") for text in error.errors
            ]
        except ConfigurationError as error:
            refused = list(error.problems)
        loaded = last_good.load_kept(self.root, [*loaded.problems, *refused])
        try:
            return loaded, self._translate(loaded.configuration)
        except ConfigErrors as error:
            raise ConfigurationError(loaded.problems) from error

    def _translate(self, configuration: FarmConfiguration) -> MasterConfig:
        if self.parts is None:
            with capture_config_errors(raise_on_error=True):
                self.parts = open_parts(self.root, configuration)
        elif self.parts.database != configuration.database:
            what = "the databases cannot change while the master runs"
            hint = "stop the master and start it again, or put the old addresses back"
            raise ConfigurationError([Problem("farm.toml", None, "database", what, hint)])
        with capture_config_errors(raise_on_error=True):
            return MasterConfig.loadFromDict(build_dictionary(self.parts, configuration), "farm.toml")

    def applied(self) -> None:
        """Buildbot runs with what was loaded: remember it, and say what was wrong with farm.toml, if anything."""
        assert self.parts is not None
        assert self.loaded is not None
        last_good.remember(self.root, self.loaded)
        problems = self.loaded.problems
        with self.parts.sessions.writing() as session:
            if problems:
                text = "farm.toml is broken; the farm goes on with the last good one. "
                conditions.begin(session, CONDITION, text + " ".join(map(str, problems)), self.clock())
            else:
                conditions.end(session, CONDITION)
        self._answer(problems, from_last_good=self.loaded.from_last_good)

    def refused(self, error: Exception) -> None:
        """Buildbot could not apply what was loaded, or only parts of it."""
        what = f"Buildbot could not apply it: {error}"
        hint = "some of it may be in force; mend farm.toml and reconfigure, or restart the master"
        problems = [Problem("farm.toml", None, "", what, hint)]
        if self.parts is not None:
            with self.parts.sessions.writing() as session:
                conditions.begin(session, CONDITION, str(problems[0]), self.clock())
        self._answer(problems, from_last_good=False)

    def _answer(self, problems: Sequence[Problem], *, from_last_good: bool) -> None:
        for problem in problems:
            log.msg(f"configuration: {problem}")
        configuration = self.loaded.configuration if self.loaded else None
        answer = {
            "at": self.clock().isoformat(),
            "pid": os.getpid(),
            "ready": ready_address(configuration) if configuration else "",
            "problems": [str(problem) for problem in problems],
            "from_last_good": from_last_good,
        }
        write_atomically(FarmFolder(self.root).reconfigured, json.dumps(answer).encode())
