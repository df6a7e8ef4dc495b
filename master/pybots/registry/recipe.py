"""What a recipe may say: the models behind `projects/*.toml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pybots_worker.contract import Command, Limits, ReportFormat

ProjectName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


class Section(BaseModel):
    """A table of a recipe: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectSection(Section):
    """Who this is, and who hears of it."""

    name: ProjectName
    summary: str = Field(default="", max_length=300)
    url: str = Field(default="", max_length=300)
    contacts: list[str] = Field(min_length=1, max_length=20)
    """E-mail addresses of people who asked to hear when Python breaks this project."""


class SourceSection(Section):
    """Where the source is: exactly one of `pypi`, `git` and `path`."""

    pypi: str = ""
    version: str = ""
    """With `pypi`: this release; without it, the newest."""
    git: str = ""
    ref: str = ""
    """With `git`: a branch, tag or commit."""
    path: str = ""
    """A folder, relative to the recipe's file."""

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSection:
        given = [name for name in ("pypi", "git", "path") if getattr(self, name)]
        if len(given) != 1:
            msg = f"give exactly one of pypi, git and path; this gives {' and '.join(given) or 'none'}"
            raise ValueError(msg)
        if self.version and not self.pypi:
            msg = "version goes with pypi; a git source takes ref"
            raise ValueError(msg)
        if bool(self.ref) != bool(self.git):
            msg = "git and ref go together"
            raise ValueError(msg)
        return self


class InstallSection(Section):
    """What to install besides the project itself, or the recipe's own steps."""

    requirements: list[str] = []
    extras: list[str] = []
    groups: list[str] = []
    """PEP 735 dependency groups of the project's pyproject.toml."""
    steps: list[Command] | None = None
    """Argument lists that replace the usual way; placeholders {python}, {source} and {uv}."""
    build_isolation: bool = True
    environment: dict[str, str] = {}


class TestSection(Section):
    """How the suite is run and what report it writes."""

    command: Command
    """An argument list; placeholders {python}, {source}, {report}, and {deselect} (pytest's options)."""
    report: ReportFormat
    directory: str = "."
    environment: dict[str, str] = {}


class TracksSection(Section):
    """Which tracks to run on; an empty list means every one the farm has."""

    branches: list[str] = []
    variants: list[str] = ["default"]
    platforms: list[str] = []


class Deselected(Section):
    """Tests that are not run, and why not."""

    tests: list[str] = Field(min_length=1)
    reason: str = Field(min_length=10, max_length=500)


class Recipe(Section):
    """A registered test suite."""

    schema_version: Literal[1] = 1
    project: ProjectSection
    source: SourceSection
    install: InstallSection = InstallSection()
    test: TestSection
    limits: Limits = Limits()
    tracks: TracksSection = TracksSection()
    deselect: list[Deselected] = []
