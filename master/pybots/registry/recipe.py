"""What a recipe may say: the models behind `projects/*.toml`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pybots.config.problems import inconsistent
from pybots_worker.contract import Argument, Command, Limits, Line, ReportFormat, Service

ProjectName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$",
        description="Lower-case letters, digits, `.`, `_` and `-`; the file is called NAME.toml.",
    ),
]

# As long as the specification of a run takes, so that every recipe that is read can be run.
Lines = Annotated[list[Line], Field(max_length=200)]


class Section(BaseModel):
    """A table of a recipe: frozen, an unknown key in it is an error, and nothing is converted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ProjectSection(Section):
    """Who this is, and who hears of it."""

    name: ProjectName
    summary: str = Field(default="", max_length=300)
    """One line about the project."""
    url: str = Field(default="", max_length=300)
    """Its home page; http or https."""
    contacts: list[Line] = Field(min_length=1, max_length=20)
    """E-mail addresses of people who asked to hear when Python breaks this project."""


class SourceSection(Section):
    """Where the source is: exactly one of `pypi`, `git` and `path`."""

    pypi: Line = ""
    """A project on the package index, by name; its sdist is what is tested."""
    version: Line = ""
    """With `pypi`: this release; without it, the newest."""
    git: Line = ""
    """The address of a git repository; needs `ref`."""
    ref: Line = ""
    """With `git`: a branch, tag or commit."""
    path: Line = ""
    """A folder, relative to the recipe's file."""

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSection:
        given = [name for name in ("pypi", "git", "path") if getattr(self, name)]
        if len(given) != 1:
            what = f"[source] gives {' and '.join(given) or 'none of pypi, git and path'}"
            raise inconsistent(what, "give exactly one of pypi, git and path", *given[1:2])
        if self.version and not self.pypi:
            raise inconsistent("version goes with pypi", "with git, give ref instead", "version")
        if self.git and not self.ref:
            raise inconsistent("[source] needs ref beside git", "name a branch, tag or commit", "git")
        if self.ref and not self.git:
            raise inconsistent("ref goes with git", "with pypi, give version instead", "ref")
        return self


class InstallSection(Section):
    """What to install besides the project itself, or the recipe's own steps."""

    requirements: Lines = []
    """What the suite needs beside the project, as pip writes it: `pytest>=8`."""
    extras: Lines = []
    """Extras of the project to install."""
    groups: Lines = []
    """PEP 735 dependency groups of the project's pyproject.toml."""
    steps: Annotated[list[Command], Field(max_length=50)] | None = None
    """Argument lists that replace the usual way; placeholders {python}, {source} and {uv}."""
    build_isolation: bool = True
    """False: build the project with what `requirements` installed, not in an environment of its own."""
    environment: Annotated[dict[Line, Argument], Field(max_length=100)] = {}
    """Environment variables for the installation."""


class TestSection(Section):
    """How the suite is run and what report it writes."""

    command: Command
    """An argument list; placeholders {python}, {source}, {report}, and {deselect} (pytest's options)."""
    report: Annotated[ReportFormat, Field(strict=False)]
    """The report that the command writes."""
    directory: Line = "."
    """Where the command is run, relative to the source."""
    environment: Annotated[dict[Line, Argument], Field(max_length=100)] = {}
    """Environment variables for the suite."""


class RunSection(Section):
    """What the suite may do besides computing."""

    network: bool = False
    """Whether the suite may use the network; without it, it has the loopback interface alone."""


class ServiceSection(Service):
    """A server that the suite needs beside it, in the same sandbox: started before it, stopped after it."""

    model_config = Section.model_config

    install: Annotated[list[Command], Field(max_length=50)] = []  # noqa: RUF012
    """Argument lists, run after the project is installed; placeholders {python}, {source}, {service} and {uv}."""
    start: Command
    """Starts it, and ends when it does; placeholders {python}, {source} and {service} (a folder of its own)."""
    ready: Command
    """Asked again and again; exits with 0 once the suite can begin. Placeholders as in `start`."""
    seconds: Annotated[float, Field(gt=0, le=1800)] = 60
    """Longest time from its start until it is ready."""


class LimitsSection(Limits):
    """When the suite is stopped, and how much of what it writes is kept."""

    model_config = Section.model_config

    wall_seconds: Annotated[float, Field(gt=0, le=21_600)] = 3600
    """Longest time for the whole suite; at most six hours."""
    quiet_seconds: Annotated[float, Field(gt=0, le=21_600)] = 600
    """Longest silence: no output, and no CPU time used by any process of the suite."""
    log_bytes: Annotated[int, Field(gt=0, le=50_000_000)] = 2_000_000
    """How much of the log is kept: its beginning and its end."""
    report_bytes: Annotated[int, Field(gt=0, le=1_000_000_000)] = 200_000_000
    """The largest report that is read."""
    prepare_seconds: Annotated[float, Field(gt=0, le=21_600)] = 1800
    """Longest time for each step before the suite: fetch, resolve, install."""
    memory_bytes: Annotated[int, Field(ge=50_000_000, le=64_000_000_000)] = 4_000_000_000
    """The most memory that all processes use together, files in /dev/shm included."""
    disk_bytes: Annotated[int, Field(ge=50_000_000, le=100_000_000_000)] = 8_000_000_000
    """The most that the run's folder and its temporary one hold."""
    processes: Annotated[int, Field(ge=10, le=20_000)] = 1024
    """The most processes and threads alive at one time."""
    open_files: Annotated[int, Field(ge=64, le=100_000)] = 4096
    """The most files that one process has open."""
    output_bytes: Annotated[int, Field(ge=100_000, le=100_000_000_000)] = 1_000_000_000
    """A suite that prints more than this is stopped; of less, `log_bytes` are kept."""


class TracksSection(Section):
    """Which tracks to run on; an empty list means every one the farm has."""

    branches: Lines = []
    """CPython branches."""
    variants: Lines = ["default"]
    """Variants of the interpreter."""
    platforms: Lines = []
    """Platforms: `linux-x86_64-glibc`."""


class Deselected(Section):
    """Tests that are not run, and why not."""

    tests: list[Line] = Field(min_length=1, max_length=5000)
    """Tests by the names that their runner gives them."""
    reason: str = Field(min_length=10, max_length=500)
    """Why they are not run: a sentence, and a link where there is one."""


class ExpectedFailure(Section):
    """Tests that are known to fail, why, and until when that is all right: they are run all the same."""

    tests: list[Line] = Field(min_length=1, max_length=5000)
    """Tests by the names that reports give them; each is named in full."""
    reason: str = Field(min_length=10, max_length=500)
    """Why they fail: a sentence, and a link where there is one."""
    expires: date
    """The last day on which their failing is no news."""


class Recipe(Section):
    """A registered test suite."""

    schema_version: Literal[1] = 1
    """The version of this format."""
    project: ProjectSection
    source: SourceSection
    install: InstallSection = InstallSection()
    test: TestSection
    run: RunSection = RunSection()
    service: ServiceSection | None = None
    limits: LimitsSection = LimitsSection()
    tracks: TracksSection = TracksSection()
    deselect: list[Deselected] = []
    expected_failure: list[ExpectedFailure] = []
