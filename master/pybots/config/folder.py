"""Names the places in a farm's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FarmFolder:
    """A farm's folder, made by `pybots init`; every path in it has its name here."""

    root: Path

    @property
    def farm_toml(self) -> Path:
        """The farm's configuration."""
        return self.root / "farm.toml"

    @property
    def master(self) -> Path:
        """Buildbot's base directory."""
        return self.root / "master"

    @property
    def tac(self) -> Path:
        """What twistd runs."""
        return self.master / "buildbot.tac"

    @property
    def pid_file(self) -> Path:
        """The running master's process number."""
        return self.master / "twistd.pid"

    @property
    def console_log(self) -> Path:
        """What the master prints before and beside its own log."""
        return self.master / "console.log"

    @property
    def reconfigured(self) -> Path:
        """What became of the last reading of the configuration: JSON `{at, problems, from_last_good}`."""
        return self.master / "configuration.json"

    @property
    def store(self) -> Path:
        """Artifacts."""
        return self.root / "store"

    @property
    def incoming(self) -> Path:
        """Uploads on their way in, emptied at every start."""
        return self.root / "incoming"

    @property
    def sources(self) -> Path:
        """Recipes' local folders, packed."""
        return self.root / "sources"

    @property
    def trunk(self) -> Path:
        """The mirror of the CPython repository."""
        return self.root / "trunk.git"

    @property
    def site_log(self) -> Path:
        """What the site prints when it runs in the background."""
        return self.root / "site.log"

    def relative(self, path: str) -> Path:
        """Return *path* from a configuration: relative ones start at the farm's folder."""
        return self.root / path

    def database_url(self, url: str) -> str:
        """Return *url* with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        if not url.startswith(prefix) or url.startswith(prefix + "/"):
            return url
        return f"{prefix}{(self.root / url.removeprefix(prefix)).absolute()}"
