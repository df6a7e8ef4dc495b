"""The shapes that pass between master and worker: what is asked for, and what is sent back.

Both sides import these models, so that neither can drift from the other. What a worker sends is read with
the same models on the master: every text and list in them is bounded, and an unknown field is an error.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=20_000)]
Argument = Annotated[str, Field(max_length=4_000)]
Command = Annotated[list[Argument], Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]


class Shape(BaseModel):
    """A frozen model that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(Shape):
    """One step of a build or a run, how it ended and how long it took."""

    name: Line
    seconds: Seconds
    succeeded: bool


# --- interpreters -------------------------------------------------------------------------------------


class InterpreterStatus(StrEnum):
    """How the making of an interpreter ended: the first phase that failed, `proven`, or not at all here."""

    FETCH_FAILED = "fetch-failed"
    CONFIGURE_FAILED = "configure-failed"
    COMPILE_FAILED = "compile-failed"
    INSTALL_FAILED = "install-failed"
    PROVE_FAILED = "prove-failed"
    UNFIT = "worker-unfit"
    """This machine lacks what the variant needs (`detail`: "not built here: needs clang 18"); no commit's fault."""
    PROVEN = "proven"


class InterpreterSpecification(Shape):
    """What an interpreter worker is asked to build."""

    key: Line
    git: Line
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    branch: Line
    variant: Line
    configure: list[Argument] = []
    step_seconds: Seconds = 3600
    """Wall-clock limit of each phase."""
    clean: bool = False
    """True where nothing of an earlier build may serve: a control."""


class MissingModule(Shape):
    """A module that should be there and is not, with the system package that would provide it."""

    module: Line
    package: Line
    error: Line


class Proof(Shape):
    """What the installed interpreter was seen to do, where neither build nor staging tree could help it."""

    version: Line
    """`sys.version` in one line."""
    cache_tag: Line
    modules: Annotated[list[Line], Field(max_length=200)]
    missing: Annotated[list[MissingModule], Field(max_length=200)] = []
    checks: Annotated[dict[Line, Line], Field(max_length=50)]
    """`pip`, `venv`, `extension`, ...: `"ok"`, or what went wrong."""


class Artifact(Shape):
    """An installed interpreter: `digest` is that of its manifest, which lies beside the result, compressed."""

    digest: Sha256
    tree_bytes: Annotated[int, Field(ge=0, le=2**50)]
    """What its files take together, each as often as it is named."""


class InterpreterResult(Shape):
    """What an interpreter worker sends back (`result.json`)."""

    key: Line
    status: InterpreterStatus
    detail: Line = ""
    clean_build: bool
    """False when the tree of an earlier build served."""
    fell_back: bool = False
    """True when the incremental build failed and a clean one was made before anyone was blamed."""
    phases: Annotated[list[Phase], Field(max_length=50)]
    seconds: Seconds
    proof: Proof | None = None
    artifact: Artifact | None = None
    pack_bytes: Annotated[int, Field(ge=0, le=2**50)] = 0
    """Of `pack` beside it: the files that the last interpreter of the same tree did not have; 0: none was made."""
    log_tail: Text = ""
    """The last lines of the phase that failed."""


# --- runs ---------------------------------------------------------------------------------------------


class PypiSource(Shape):
    """An sdist from the package index; the newest where `version` is empty."""

    kind: Literal["pypi"] = "pypi"
    name: Line
    version: Line = ""


class GitSource(Shape):
    """A git repository at a ref (branch, tag or commit)."""

    kind: Literal["git"] = "git"
    url: Line
    ref: Line


class ArchiveSource(Shape):
    """A `.tar.gz` over HTTP, verified by digest: how the master hands out a recipe's local folder."""

    kind: Literal["archive"] = "archive"
    url: Line
    sha256: Sha256


class FolderSource(Shape):
    """A folder on this machine: `pybots project try` only; it is copied, never worked in."""

    kind: Literal["folder"] = "folder"
    path: Line


Source = Annotated[PypiSource | GitSource | ArchiveSource | FolderSource, Field(discriminator="kind")]


class StoredInterpreter(Shape):
    """An artifact in the store: GET `url`/DIGEST is its manifest, POST `url`/files answers with files by digest."""

    kind: Literal["stored"] = "stored"
    digest: Sha256
    url: Line
    archive_sha256: Line = ""
    """What runs that an earlier Pybots planned still name; it means nothing any more."""


class LocalInterpreter(Shape):
    """A Python on this machine: `pybots project try --python PATH`."""

    kind: Literal["local"] = "local"
    path: Line


Interpreter = Annotated[StoredInterpreter | LocalInterpreter, Field(discriminator="kind")]


class ReportFormat(StrEnum):
    """The report that a suite writes."""

    JUNIT = "junit"
    SUBUNIT = "subunit"
    UNITTEST = "unittest"
    DJANGO = "django"


class Lock(Shape):
    """A frozen environment: two requirements files with hashes, and the digest of both.

    `build_constraints` holds a section for each thing that is built, the project first: `# to build NAME`, and
    then every distribution in the environment that builds it (`pybots_worker.runs.locked`).
    """

    requirements: Annotated[str, Field(max_length=2_000_000)]
    build_constraints: Annotated[str, Field(max_length=2_000_000)] = ""
    digest: Sha256


def lock_digest(requirements: str, build_constraints: str) -> str:
    """Return the digest of a lock with these two files; the master computes it too, and believes nobody."""
    return hashlib.sha256(json.dumps([requirements, build_constraints]).encode()).hexdigest()


class Packages(Shape):
    """Where distributions come from. With `offline`, only from `find_links`."""

    offline: bool = False
    find_links: list[Line] = []


class Limits(Shape):
    """When a suite is stopped, and how much of what it writes is kept."""

    wall_seconds: Annotated[float, Field(gt=0)] = 3600
    quiet_seconds: Annotated[float, Field(gt=0)] = 600
    """Longest silence: no output, and no CPU time used by any process of the suite."""
    log_bytes: Annotated[int, Field(gt=0)] = 2_000_000
    report_bytes: Annotated[int, Field(gt=0)] = 200_000_000
    prepare_seconds: Annotated[float, Field(gt=0)] = 1800
    """Wall-clock limit of each step before the suite (fetch, resolve, install)."""
    memory_bytes: Annotated[int, Field(gt=0)] = 4_000_000_000
    """Of all processes together, and of what they keep in temporary file systems in memory."""
    disk_bytes: Annotated[int, Field(gt=0)] = 8_000_000_000
    """Of the run's folder and its temporary one together; no single file may be larger."""
    processes: Annotated[int, Field(gt=0)] = 1024
    """Processes and threads alive at one time."""
    open_files: Annotated[int, Field(gt=0)] = 4096
    """Of each process."""
    output_bytes: Annotated[int, Field(gt=0)] = 1_000_000_000
    """What may be printed, however little of it is kept; a suite that prints more is stopped."""


class Service(Shape):
    """A server that the suite needs beside it: how it is installed, started, and asked whether it is ready."""

    install: Annotated[list[Command], Field(max_length=50)] = []
    start: Command
    ready: Command
    seconds: Annotated[float, Field(gt=0)] = 60
    """Longest time from its start until it is ready."""


class RunSpecification(Shape):
    """What a worker is asked to run. Commands may use the placeholders {python}, {source}, {report}."""

    key: Line
    project: Line
    source: Source
    interpreter: Interpreter
    requirements: list[Line] = []
    extras: list[Line] = []
    groups: list[Line] = []
    install: list[Command] | None = None
    """The recipe's own steps; None for the usual way: resolve, lock, install, install the project."""
    build_isolation: bool = True
    environment: dict[Line, Argument] = {}
    directory: Line = "."
    """Where the suite is run, relative to the source."""
    network: bool = False
    """Whether the suite may use the network; without it, it has the loopback interface alone."""
    service: Service | None = None
    command: Command
    report: ReportFormat
    deselected: list[Line] = []
    tests: Annotated[list[Argument], Field(max_length=5_000)] | None = None
    """Run these alone, by the names that reports give them; None: the whole suite; none of them: everything up to the
    suite, and what collecting its tests does."""
    lock: Lock | None = None
    """Install exactly this, without resolving anything."""
    packages: Packages = Packages()
    limits: Limits = Limits()


class Ending(StrEnum):
    """How far a run came, as the worker saw it. What the report says is the master's to judge."""

    FETCH_FAILED = "fetch-failed"
    ENVIRONMENT_FAILED = "environment-failed"
    INSTALL_FAILED = "install-failed"
    CRASHED = "crashed"
    WALL_LIMIT = "wall-limit"
    QUIET_LIMIT = "quiet-limit"
    MEMORY_LIMIT = "memory-limit"
    DISK_LIMIT = "disk-limit"
    EXITED = "exited"
    UNFIT = "worker-unfit"


class RunResult(Shape):
    """What a worker sends back (`result.json`), beside `report` and `log.zst`, where they exist."""

    key: Line
    ending: Ending
    detail: Line = ""
    exit_status: Annotated[int, Field(ge=-(2**31), lt=2**32)] | None = None
    """The suite's exit status; None where it did not exit by itself."""
    signal: Line = ""
    """The signal that ended the suite, by name (`SIGSEGV`)."""
    revision: Line = ""
    """The project's own: a version, a commit, or an archive's digest."""
    source_sha256: Sha256 | None = None
    lock: Lock | None = None
    environment_digest: Sha256 | None = None
    """Of what was really installed besides the project, and of what built the project: names, versions, content."""
    phases: Annotated[list[Phase], Field(max_length=50)]
    seconds: Seconds
    suite_seconds: Seconds = 0
    load: Annotated[list[Seconds], Field(max_length=2)] = []
    """How many processes wanted to run, at the suite's beginning and at its end (the last minute's average)."""
    report_present: bool = False
    report_truncated: bool = False
    log_truncated: bool = False
    tests_selected: bool = False
    """True where the suite's runner was told which tests to run, and left out the others."""
    top_levels: Annotated[dict[Line, Line], Field(max_length=20_000)] = {}
    """What can be imported, by its first name, and the distribution that brought it (`Crypto`: `pycrypto`)."""
    native_stack: Text = ""
    """Where a crash left one: the innermost frames, native ones by library and function."""


RESULT_FILE = "result.json"
MANIFEST_FILE = "manifest.json.zst"
"""Of a proven interpreter, beside its result."""
WANTED_FILE = "wanted"
"""What the master lacks of an artifact: one sha256 a line."""
PACK_FILE = "pack"
"""The files that the master lacks, as `interpreters.file_stream` has them."""
FIRST_PACK_BYTES = 32 << 20
"""What a worker packs before it was asked is not larger than this."""
REPORT_FILE = "report"
LOG_FILE = "log.zst"
SPECIFICATION_FILE = "specification.json"
