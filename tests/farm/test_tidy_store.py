"""The service that has the store tidied up: what it says on the page, and that it is begun by a configuration."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions
from pybots.database.tables import Condition
from pybots.farm.parts import Parts
from pybots.farm.tidy_store import CONDITION, TidyStore
from pybots.interpreters.artifact_store import ArtifactStore
from rows import Rows
from store_files import manifest_of, pack_of

NOW = datetime.now(UTC)


class Unstarted(TidyStore):
    """Without a master, and so without rounds."""

    def begin(self, seconds: float) -> None:
        self.seconds = seconds


def test_a_store_that_is_too_full_with_what_is_needed_says_so(sessions: Sessions, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    content = {"a": os.urandom(20_000)}
    manifest = manifest_of(content)
    store.take_in_files(pack_of(*content.values()), manifest)
    store.keep(manifest)
    with sessions.writing() as session:
        rows = Rows(session, NOW)
        rows.interpreter(1, artifact_id=rows.artifact(manifest.digest()).id)
    parts = Parts(FarmFolder(tmp_path), sessions, store, lambda: NOW)
    service = Unstarted(parts=parts, configuration=configuration(0.00001))
    service.reconfigService(parts=parts, configuration=configuration(0.00001))
    service._tidy(True)
    assert "all needed; its limit is" in conditions(sessions)[CONDITION]
    service.reconfigService(parts=parts, configuration=configuration(1))
    service._tidy(False)
    assert conditions(sessions) == {}
    assert store.holds(manifest.digest())


def configuration(gigabytes: float) -> FarmConfiguration:
    worker = {"name": "w", "platform": "p", "interpreters": True, "password_file": "secret"}
    return FarmConfiguration.model_validate(
        {"trunk": {"git": "x"}, "worker": [worker], "store": {"size_limit_gigabytes": gigabytes}}
    )


def conditions(sessions: Sessions) -> dict[str, str]:
    with sessions.reading() as session:
        return {row.name: row.text for row in session.scalars(select(Condition))}
