"""Has the store tidied up now and then, off the reactor's thread, and says so where it is too full all the same."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThread
from twisted.python import log

from pybots.commits.rounds import RoundsService
from pybots.config.model import FarmConfiguration
from pybots.database import conditions
from pybots.farm.parts import Parts
from pybots.incidents.read_artifacts import artifacts_of_open
from pybots.interpreters.store_tidy import Tidied, Tidying

ROUND_SECONDS = 600.0
THOROUGH_ROUNDS = 144
"""Once a day, and after every start: what a killed master left goes."""
CONDITION = "store"


class TidyStore(RoundsService):
    """Retention as one of the master's services."""

    name = "tidy store"
    _round_number = 0

    def reconfigService(self, *, parts: Parts, configuration: FarmConfiguration) -> defer.Deferred[Any]:
        """Take over a new configuration."""
        self.parts = parts
        section = configuration.store
        self.tidying = Tidying(
            parts.sessions,
            parts.store,
            int(section.size_limit_gigabytes * 1e9),
            section.kept_commits,
            partial(artifacts_of_open, parts.sessions),
        )
        self.begin(ROUND_SECONDS)
        return defer.succeed(None)

    async def round(self) -> None:
        """Tidy up once."""
        thoroughly = self._round_number % THOROUGH_ROUNDS == 0
        self._round_number += 1
        done = await deferToThread(self._tidy, thoroughly)
        if done.artifacts_removed or done.files_removed:
            log.msg(f"store: {done.artifacts_removed} artifacts and {done.files_removed} files removed")

    def _tidy(self, thoroughly: bool) -> Tidied:
        now = self.parts.clock()
        done = self.tidying.run(now, thoroughly=thoroughly)
        with self.parts.sessions.writing() as session:
            if done.stored_bytes > self.tidying.limit_bytes:
                conditions.begin(session, CONDITION, self._too_full(done), now)
            else:
                conditions.end(session, CONDITION)
        return done

    def _too_full(self, done: Tidied) -> str:
        return (
            f"The store holds {done.stored_bytes / 1e9:.1f} GB in {done.artifacts} artifacts that are all needed; "
            f"its limit is {self.tidying.limit_bytes / 1e9:.1f} GB (store.size_limit_gigabytes in farm.toml)."
        )
