"""What a replay's FILE may say."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from pybots.config.model import BranchName, Name, Section
from pybots.config.problems import inconsistent

Sha = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{7,40}$", description="A commit's name: 7 to 40 hexadecimal digits, lower case."
    ),
]
Revision = Annotated[str, Field(min_length=1, max_length=500)]


class Fault(StrEnum):
    """What a worker can be made to suffer (`pybots_worker`'s own words)."""

    DISK_FULL = "disk-full"
    NETWORK_LOST = "network-lost"
    CLOCK_JUMP = "clock-jump"


class ReplayTrunk(Section):
    """The slice of history."""

    git: str = Field(min_length=1)
    """Path or address of a CPython repository; a path is relative to the file."""
    branch: BranchName = "main"
    """What the branch is called in the replay; recipes may name it in their tracks."""
    variants: dict[Name, list[str]] = Field(default={"default": []}, min_length=1)
    """Named sets of configure options."""
    heads: list[Sha] = Field(min_length=1, max_length=10_000)
    """What the poller sees, oldest first; each is a first-parent ancestor of the next."""


class ReplayProject(Section):
    """One registered project."""

    recipe: str = Field(min_length=1)
    """Its recipe, relative to the file."""


class ReplayEvent(Section):
    """What else changes, from one head on: one of `revision`, `packages` and `worker_fault`."""

    at_head: Annotated[int, Field(ge=0)]
    """The head that shows it first, counted from 0."""
    project: str = ""
    """Whose revision it is; for the others it means nothing."""
    revision: Revision | None = None
    """The project's own, as its recipe has `pypi`, `git` or `path`: a version, a ref, a folder relative to the file."""
    packages: Revision | None = None
    """A folder of sdists and wheels that dependencies come from, and nowhere else; relative to the file."""
    worker_fault: Annotated[Fault | None, Field(strict=False)] = None
    """What the last worker suffers, for that head alone."""

    @model_validator(mode="after")
    def _exactly_one(self) -> ReplayEvent:
        names = ("revision", "packages", "worker_fault")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"[[event]] gives {' and '.join(given) or 'none of revision, packages and worker_fault'}"
            raise inconsistent(what, "give exactly one of them; write another [[event]]", *given[1:2])
        if self.revision is not None and not self.project:
            raise inconsistent("revision does not say whose", "add project = ...", "revision")
        return self


class ReplayWorkers(Section):
    """The workers that are started."""

    count: Annotated[int, Field(ge=1, le=32)] = 2
    """How many, all on this machine; the first makes interpreters, too."""


class ReplayFile(Section):
    """The whole file."""

    trunk: ReplayTrunk
    project: list[ReplayProject] = Field(default=[], max_length=1000)
    event: list[ReplayEvent] = Field(default=[], max_length=10_000)
    workers: ReplayWorkers = ReplayWorkers()
