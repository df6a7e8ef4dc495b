"""One round of polling: fetch the trunk, take every branch in, and say what could not be reached."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from pybots.commits import store
from pybots.commits.mirror import Mirror, MirrorError
from pybots.config.model import FarmConfiguration
from pybots.database import conditions
from pybots.farm.intake import take_in_branch
from pybots.farm.parts import Parts

FETCH_SECONDS = 1800
LOOK_SECONDS = 120
HISTORY_BEFORE = 50
"""Commits of history fetched besides those taken in when a branch is seen for the first time."""


@dataclass(frozen=True)
class PollRound:
    """Callable; equal to another one of the same configuration, so that a reconfiguration changes nothing."""

    parts: Parts
    configuration: FarmConfiguration

    def __call__(self) -> None:
        """Poll once. What cannot be reached becomes a condition on the page, and ends when it can."""
        trunk = self.configuration.trunk
        mirror = Mirror(self.parts.folder.trunk)
        try:
            mirror.create_or_open(self._address(trunk.git))
            missing = mirror.fetch(trunk.branches, FETCH_SECONDS, trunk.first_commits + HISTORY_BEFORE)
            releases = mirror.releases(LOOK_SECONDS)
        except MirrorError as error:
            self._degraded("trunk", str(error))
            return
        self._well("trunk")
        for branch in trunk.branches:
            if branch in missing:
                self._degraded(f"branch {branch}", missing[branch])
            else:
                self._take_in(mirror, branch)
        with self.parts.sessions.writing() as session:
            store.name_releases(session, releases)

    def _address(self, git: str) -> str:
        # A relative path in farm.toml starts at the farm's folder, like every other one.
        beside = self.parts.folder.relative(git)
        return str(beside) if "://" not in git and beside.exists() else git

    def _take_in(self, mirror: Mirror, branch: str) -> None:
        try:
            take_in_branch(self.parts.sessions, mirror, self.configuration, branch, self.parts.clock())
        except (MirrorError, SQLAlchemyError) as error:
            # One branch's trouble is not the others'.
            self._degraded(f"branch {branch}", str(error))
        else:
            self._well(f"branch {branch}")

    def _degraded(self, name: str, text: str) -> None:
        with self.parts.sessions.writing() as session:
            conditions.begin(session, name, text, self.parts.clock())

    def _well(self, name: str) -> None:
        with self.parts.sessions.writing() as session:
            conditions.end(session, name)
