"""The parts that a farm is made of, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pybots.config.folder import FarmFolder
from pybots.config.model import DatabaseSection, FarmConfiguration
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate
from pybots.farm.placing import Placements
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.plan import TrackName, tracks


def utc_now() -> datetime:
    """Return the present, aware and in UTC: the one clock that the farm's edges are given."""
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)
class Parts:
    """What steps, services and the dispatcher work with."""

    folder: FarmFolder
    sessions: Sessions
    store: ArtifactStore
    clock: Callable[[], datetime] = utc_now
    database: DatabaseSection = field(default_factory=DatabaseSection)
    """What the databases were opened with: they stay open for the master's life."""
    began: datetime = field(default_factory=utc_now)
    """When this life of the master began."""
    building: dict[int, str] = field(default_factory=dict)
    """Interpreters under way in this process: Buildbot build -> interpreter key."""
    running: dict[int, str] = field(default_factory=dict)
    """Runs under way in this process: Buildbot build -> run key."""
    placements: Placements = field(default_factory=Placements)
    """Where requests may run that may not run anywhere."""


def open_parts(root: Path, configuration: FarmConfiguration) -> Parts:
    """Open what lies in the farm's folder *root*, bringing the results database up to date."""
    folder = FarmFolder(root.absolute())
    engine = open_engine(folder.database_url(configuration.database.results))
    migrate(engine)
    return Parts(
        folder=folder,
        sessions=Sessions(engine),
        store=ArtifactStore(folder.store),
        database=configuration.database,
    )


def platforms(configuration: FarmConfiguration) -> list[str]:
    """Return the platforms that the farm's workers have, sorted."""
    return sorted({worker.platform for worker in configuration.worker})


def all_tracks(configuration: FarmConfiguration) -> list[TrackName]:
    """Return every track of the farm."""
    return tracks(configuration.trunk.branches, list(configuration.variants), platforms(configuration))
