"""Buildbot's master, which says truthfully whether it is up and what became of a configuration."""

from __future__ import annotations

from typing import Any

from buildbot.master import BuildMaster
from twisted.internet import defer
from twisted.internet.threads import deferToThread

from pybots.farm.chooser import ThriftyChooser
from pybots.farm.loader import FarmLoader


def make_quicker(master: BuildMaster) -> None:
    """Change what costs a Buildbot 4.3.0 master most for each build, and nothing of what it does."""
    master.botmaster.brd.BuildChooser = ThriftyChooser
    # Its table of addresses is made anew at each look-up, because nobody notes that it was made.
    matcher = master.data.matcher
    matcher._compile()
    matcher._dirty = False


class FarmMaster(BuildMaster):
    """A BuildMaster that tells its loader whether Buildbot took a configuration over."""

    became_ready = False
    """True once start-up has succeeded; Buildbot itself exits with status 0 when it has not."""

    config_loader: FarmLoader

    @defer.inlineCallbacks
    def startService(self) -> Any:
        """Start; where that fails Buildbot logs why and stops the reactor."""
        make_quicker(self)
        yield super().startService()
        # The last thing that a start-up which succeeds does.
        self.became_ready = self.masterHeartbeatService.parent is not None

    @defer.inlineCallbacks
    def reconfigServiceWithBuildbotConfig(self, new_config: Any) -> Any:
        """Apply a configuration; only one that was applied as a whole is remembered as good."""
        try:
            yield super().reconfigServiceWithBuildbotConfig(new_config)
        except Exception as error:
            yield deferToThread(self.config_loader.refused, error)
            raise
        yield deferToThread(self.config_loader.applied)
