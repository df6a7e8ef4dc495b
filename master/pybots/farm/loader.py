"""Buildbot's configuration loader: farm.toml, the last good one where it is broken, and a word about which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.config.master import MasterConfig
from buildbot.interfaces import IConfigLoader
from twisted.python import log
from zope.interface import implementer

from pybots.config import last_good
from pybots.config.last_good import Loaded
from pybots.config.model import FarmConfiguration
from pybots.config.read import ConfigurationError
from pybots.database import conditions
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

    def loadConfig(self) -> MasterConfig:
        """Return Buildbot's configuration; raises ConfigErrors where neither farm.toml nor a last good one loads.

        A running master that gets ConfigErrors goes on as it is.
        """
        try:
            loaded = last_good.load(self.root)
            master_configuration = self._translate(loaded.configuration)
        except ConfigurationError as error:
            raise ConfigErrors([str(problem) for problem in error.problems]) from error
        self._tell(loaded)
        if not loaded.from_last_good:
            last_good.remember(self.root, loaded)
        return master_configuration

    def _translate(self, configuration: FarmConfiguration) -> MasterConfig:
        if self.parts is None:
            self.parts = open_parts(self.root, configuration)
        with capture_config_errors(raise_on_error=True):
            return MasterConfig.loadFromDict(build_dictionary(self.parts, configuration), "farm.toml")

    def _tell(self, loaded: Loaded) -> None:
        assert self.parts is not None
        problems = [str(problem) for problem in loaded.problems]
        for problem in problems:
            log.msg(f"farm.toml is broken, the last good configuration is used: {problem}")
        with self.parts.sessions.writing() as session:
            if problems:
                text = "farm.toml is broken; the farm goes on with the last good one. " + " ".join(problems)
                conditions.begin(session, CONDITION, text, self.clock())
            else:
                conditions.end(session, CONDITION)
        self._write_answer(problems, from_last_good=loaded.from_last_good)

    def _write_answer(self, problems: list[str], *, from_last_good: bool) -> None:
        assert self.parts is not None
        target = self.parts.folder.reconfigured
        temporary = target.with_suffix(".part")
        answer = {"at": self.clock().isoformat(), "problems": problems, "from_last_good": from_last_good}
        temporary.write_text(json.dumps(answer))
        os.replace(temporary, target)
