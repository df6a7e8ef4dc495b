"""What `farm.toml` may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pybots.config.problems import inconsistent
from pybots.config.slots import slots

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$",
        description="Letters, digits, `.`, `_` and `-`; at most 60.",
    ),
]
WorkerName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,39}$",
        description="Letters, digits, `_` and `-`, not beginning with a digit (Buildbot's rule); at most 40.",
    ),
]
BranchName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$",
        description="Letters, digits, `.`, `_`, `/` and `-`; at most 100.",
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of farm.toml: frozen, an unknown key in it is an error, and nothing is converted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class FarmSection(Section):
    """What people see."""

    name: str = Field(default="Pybots", max_length=80)
    """The farm's name, on every page."""
    url: str = "http://localhost:8080/"
    """The site's public address."""


class TrunkSection(Section):
    """Where CPython's history comes from, and how much of it is built."""

    git: str
    """Path or address of a CPython repository."""
    branches: list[BranchName] = Field(default=["main"], min_length=1)
    """Branches under test."""
    poll_seconds: Annotated[float, Field(ge=0.1)] = 60
    """How often new commits are looked for."""
    newest_only_beyond: Annotated[int, Field(ge=1)] = 8
    """With more commits than this waiting on a branch, only its newest head is built."""
    heads_only: bool = False
    """True: of what a poll finds, the newest commit alone is built, and the rest when a search asks for it."""
    first_commits: Annotated[int, Field(ge=1)] = 1
    """How many of the newest commits are taken in when a branch is seen for the first time."""


class MasterSection(Section):
    """Where the master listens."""

    host: str = "127.0.0.1"
    """The name by which workers reach the master."""
    listen: str = "127.0.0.1"
    """The address at which workers and their downloads are answered; `0.0.0.0` for every interface."""
    workers_port: Port = 9989
    """Where workers connect."""
    operators_port: Port = 8010
    """Buildbot's own pages, on this machine alone: whoever reaches them may do everything."""
    store_port: Port = 8020
    """Where workers fetch interpreters and sources."""
    keepalive_seconds: Annotated[float, Field(ge=0.1, le=60)] = 15
    """A worker that does not answer within three of these is taken for lost."""


class SiteSection(Section):
    """Where the status page listens."""

    host: str = "127.0.0.1"
    """The address that it listens on."""
    port: Port = 8080
    """Its port."""


class DatabaseSection(Section):
    """SQLAlchemy addresses; a relative SQLite path is relative to the farm's folder."""

    results: str = "sqlite:///results.sqlite"
    """Pybots' own: commits, runs, outcomes."""
    buildbot: str = "sqlite:///master/state.sqlite"
    """Buildbot's."""


class RegistrySection(Section):
    """Where the recipes are."""

    folder: str = "projects"
    """A folder of recipes, relative to the farm's folder."""
    sources: list[str] = []
    """Folders outside of the farm's own below which a recipe's `path` may lie: all of it is handed to workers."""


class PackagesSection(Section):
    """Where distributions come from, beside what each worker's own package index is."""

    offline: bool = False
    """True: distributions come from `folder` only."""
    folder: str = ""
    """A folder of sdists and wheels that the master hands out, relative to the farm's folder."""


class StoreSection(Section):
    """How much of the interpreters that were built is kept."""

    size_limit_gigabytes: Annotated[float, Field(gt=0)] = 20
    """Beyond it the oldest artifacts go that nothing rests on; a commit adds from 0.01 to 15 MB."""
    kept_commits: list[Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")]] = []
    """Commits whose interpreters are never removed, besides tagged releases. The beginning of a sha is enough."""


class VerdictsSection(Section):
    """How sure the farm is before it says that something broke."""

    false_incidents_a_year: Annotated[float, Field(gt=0, le=100)] = 0.01
    """How many incidents a year may be opened by chance; the smaller, the more often what differs is run again."""
    worker_away_seconds: Annotated[float, Field(ge=1)] = 900
    """A comparison whose worker is away for longer begins anew on another one."""


class WorkerSection(Section):
    """A donated machine: `slots` Buildbot workers, called NAME-1, NAME-2, ..."""

    name: WorkerName
    """The machine's name."""
    platform: Name
    """Operating system, architecture, C library: `linux-x86_64-glibc`."""
    owner: str = Field(default="", max_length=200)
    """Who lends it."""
    slots: Annotated[int, Field(ge=1, le=64)] = 1
    """How many things it runs at once."""
    interpreters: bool = False
    """Trusted to make interpreters."""
    password_file: str
    """A file with the machine's password, relative to the farm's folder."""


class FarmConfiguration(Section):
    """The whole of farm.toml."""

    farm: FarmSection = FarmSection()
    trunk: TrunkSection
    variants: dict[Name, list[str]] = {"default": []}
    """Named sets of configure options."""
    master: MasterSection = MasterSection()
    site: SiteSection = SiteSection()
    database: DatabaseSection = DatabaseSection()
    registry: RegistrySection = RegistrySection()
    packages: PackagesSection = PackagesSection()
    store: StoreSection = StoreSection()
    verdicts: VerdictsSection = VerdictsSection()
    worker: list[WorkerSection] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> FarmConfiguration:
        self._names_differ()
        if not self.variants:
            raise inconsistent("no variant is left", "write variants = { default = [] }", "variants")
        builds = {worker.platform for worker in self.worker if worker.interpreters}
        for index, worker in enumerate(self.worker):
            if worker.platform not in builds:
                raise inconsistent(
                    f"no worker with interpreters = true on platform {worker.platform!r}, "
                    f"so {worker.name!r} would never have anything to run",
                    "trust one worker of that platform to make interpreters",
                    "worker",
                    index,
                    "platform",
                )
        return self

    def _names_differ(self) -> None:
        taken: set[str] = set()
        for index, worker in enumerate(self.worker):
            names = slots(worker)
            for name in taken & set(names):
                raise inconsistent(
                    f"two workers are called {name!r}", "give each a name of its own", "worker", index, "name"
                )
            taken |= set(names)
        for index, branch in enumerate(self.trunk.branches):
            if branch in self.trunk.branches[:index]:
                raise inconsistent(
                    f"branch {branch!r} is listed twice", "leave one out", "trunk", "branches", index
                )
