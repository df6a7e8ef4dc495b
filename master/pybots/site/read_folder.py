"""Talks to the file system: what a farm's folder says of its name, its site and its results database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pybots.config import last_good
from pybots.config.folder import FarmFolder
from pybots.config.model import DatabaseSection, FarmSection, SiteSection
from pybots.config.problems import ConfigurationError
from pybots.database.engine import Sessions, open_engine


@dataclass(frozen=True, slots=True)
class Served:
    """What the site and `pybots show` need of a folder."""

    name: str
    site: SiteSection
    results: str
    """The results database's SQLAlchemy address."""
    problems: tuple[str, ...] = ()
    """What is wrong with farm.toml; the rest is then the last good configuration, or its defaults."""

    def sessions(self) -> Sessions:
        """Return sessions on the results database, which is not looked at yet."""
        return Sessions(open_engine(self.results))


def read_folder(folder: Path) -> Served:
    """Return what *folder* says, whatever state its farm.toml is in: the page stays up."""
    farm = FarmFolder(folder)
    try:
        loaded = last_good.load(folder)
    except ConfigurationError as error:
        problems = tuple(map(str, error.problems))
        return Served(
            FarmSection().name, SiteSection(), farm.database_url(DatabaseSection().results), problems
        )
    says = loaded.configuration
    results = farm.database_url(says.database.results)
    return Served(says.farm.name, says.site, results, tuple(map(str, loaded.problems)))
