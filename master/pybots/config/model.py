"""What `farm.toml` may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of farm.toml: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FarmSection(Section):
    """What people see."""

    name: str = Field(default="Pybots", max_length=80)
    url: str = "http://localhost:8080/"
    """The site's public address."""


class TrunkSection(Section):
    """Where CPython's history comes from, and how much of it is built."""

    git: str
    branches: list[str] = Field(default=["main"], min_length=1)
    poll_seconds: Annotated[float, Field(ge=0.1)] = 60
    newest_only_beyond: Annotated[int, Field(ge=1)] = 8
    """With more commits than this waiting on a branch, only its newest head is built."""
    first_commits: Annotated[int, Field(ge=1)] = 1
    """How many of the newest commits are taken in when a branch is seen for the first time."""


class MasterSection(Section):
    """Where the master listens."""

    host: str = "127.0.0.1"
    """The name by which workers reach the master."""
    workers_port: Port = 9989
    operators_port: Port = 8010
    store_port: Port = 8020
    keepalive_seconds: Annotated[float, Field(ge=0.1, le=60)] = 15
    """A worker that does not answer within three of these is taken for lost."""


class SiteSection(Section):
    """Where the status page listens."""

    host: str = "127.0.0.1"
    port: Port = 8080


class DatabaseSection(Section):
    """SQLAlchemy addresses; a relative SQLite path is relative to the farm's folder."""

    results: str = "sqlite:///results.sqlite"
    buildbot: str = "sqlite:///master/state.sqlite"


class RegistrySection(Section):
    """Where the recipes are."""

    folder: str = "projects"


class PackagesSection(Section):
    """Where distributions come from, beside what each worker's own package index is."""

    offline: bool = False
    folder: str = ""
    """A folder of sdists and wheels that the master hands out to its workers."""


class WorkerSection(Section):
    """A donated machine: `slots` Buildbot workers, called NAME-1, NAME-2, ..."""

    name: Name
    platform: Name
    owner: str = Field(default="", max_length=200)
    slots: Annotated[int, Field(ge=1, le=64)] = 1
    interpreters: bool = False
    """Trusted to make interpreters."""
    password_file: str
    """Relative to the farm's folder."""


class FarmConfiguration(Section):
    """The whole of farm.toml."""

    farm: FarmSection = FarmSection()
    trunk: TrunkSection
    variants: dict[Name, list[str]] = {"default": []}
    master: MasterSection = MasterSection()
    site: SiteSection = SiteSection()
    database: DatabaseSection = DatabaseSection()
    registry: RegistrySection = RegistrySection()
    packages: PackagesSection = PackagesSection()
    worker: list[WorkerSection] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> FarmConfiguration:
        names = [worker.name for worker in self.worker]
        for name in names:
            if names.count(name) > 1:
                msg = f"two workers are called {name!r}; each needs a name of its own"
                raise ValueError(msg)
        if not self.variants:
            msg = "at least one variant is needed: variants = { default = [] }"
            raise ValueError(msg)
        builds = {worker.platform for worker in self.worker if worker.interpreters}
        for worker in self.worker:
            if worker.platform not in builds:
                msg = (
                    f"no worker with interpreters = true on platform {worker.platform!r}, "
                    f"so {worker.name!r} would never have anything to run"
                )
                raise ValueError(msg)
        return self
