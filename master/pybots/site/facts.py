"""Names the facts that pages, the API and `pybots show` have in common; all times are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Track:
    """branch x variant x platform."""

    name: str
    """`main · default · linux-x86_64-glibc`."""
    branch: str
    variant: str
    platform: str

    @classmethod
    def of(cls, branch: str, variant: str, platform: str) -> Track:
        """Return the track with its name."""
        return cls(f"{branch} · {variant} · {platform}", branch, variant, platform)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests did what."""

    collected: int
    passed: int
    failed: int
    error: int
    skipped: int
    expected_failure: int
    unexpected_pass: int
    deselected: int

    @property
    def bad(self) -> int:
        """How many did what they should not."""
        return self.failed + self.error + self.unexpected_pass


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a project's suite; `number` grows with time and is what `before` takes."""

    number: int
    key: str
    project: str
    track: Track
    role: str
    state: str
    status: str
    """Empty until the run is finished."""
    detail: str
    commit: str
    interpreter: str
    """The interpreter's key."""
    worker: str
    revision: str
    environment: str
    """The digest of the lock; empty where there is none."""
    complete: bool
    wanted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float
    suite_seconds: float
    counts: Counts
    environment_digest: str = ""
    """Of what was really installed, by content, as the worker saw it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of a run or of making an interpreter."""

    name: str
    seconds: float
    succeeded: bool


@dataclass(frozen=True, slots=True)
class FailingTest:
    """A test that did what it should not, and what it said."""

    test: str
    outcome: str
    exception: str
    message: str
    traceback: str
    signature: str


@dataclass(frozen=True, slots=True)
class RunDetails:
    """All that is known of one run, but for its log."""

    run: Run
    phases: list[Phase]
    failing: list[FailingTest]
    """At most as many as one page holds."""
    failing_total: int
    command: list[str]
    has_log: bool
    log_truncated: bool


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One commit, built (or not) for one variant on one platform."""

    number: int
    key: str
    track: Track
    commit: str
    position: int
    state: str
    status: str
    detail: str
    worker: str
    wanted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float
    clean_build: bool | None
    fell_back: bool
    artifact: str
    """The digest; empty where there is none."""
    inherited_from: str
    """The key of the interpreter whose results hold for this one too; empty where it has its own."""
    inherited_commit: str


@dataclass(frozen=True, slots=True)
class MissingModule:
    """A module that should be there, and the system package that would provide it."""

    module: str
    package: str
    error: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What the installed interpreter was seen to do."""

    version: str
    modules: list[str]
    missing: list[MissingModule]
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class InterpreterDetails:
    """All that is known of one interpreter."""

    interpreter: Interpreter
    phases: list[Phase]
    proof: Proof | None
    added_bytes: int
    """What the store grew by for it, compressed."""
    removed_at: datetime | None
    """When its artifact was taken out of the store; a build of the same commit brings it back."""
    tree_bytes: int
    log_tail: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Commit:
    """A CPython commit as one branch sees it."""

    sha: str
    parent: str
    branch: str
    position: int
    author: str
    committed_at: datetime
    subject: str
    touches: str
    files_changed: int
    selection: str
    interpreters: list[Interpreter]


@dataclass(frozen=True, slots=True)
class Deselected:
    """Tests that are not run, and why not."""

    tests: list[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Project:
    """A registered test suite. `problem` says where and why its recipe is set aside."""

    name: str
    summary: str
    url: str
    registered: bool
    problem: str
    source: str
    contacts: list[str]
    command: list[str]
    deselected: list[Deselected]
    tracks: list[str]
    """The names of the farm's tracks that its recipe asks for."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A CPython branch under test."""

    name: str
    head: str
    polled_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class Worker:
    """A donated worker as the master last saw it."""

    name: str
    platform: str
    owner: str
    connected: bool
    changed_at: datetime
    doing: str
    sandbox: str = ""
    """Why it takes no project runs, or runs them without a sandbox; empty where it has one."""
    faults: list[Fault] = field(default_factory=list)
    """Its record: what it was last seen to do wrong, newest first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a worker was seen to do wrong, and in which run; nobody's regression."""

    at: datetime
    what: str
    run: str = ""
    interpreter: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something degraded that people should know of."""

    name: str
    since: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A frozen set of distributions."""

    digest: str
    requirements: str
    build_constraints: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs and interpreters that are not finished, oldest first, at most as many as one page holds."""

    runs: list[Run]
    interpreters: list[Interpreter]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much is not finished."""

    runs: int
    runs_running: int
    interpreters: int
    interpreters_running: int


@dataclass(frozen=True, slots=True)
class Farm:
    """How the farm itself does. `master_at` is None where no master was ever heard of."""

    master_at: datetime | None
    master_started_at: datetime | None
    conditions: list[Condition]
    branches: list[Branch]
    waiting: Waiting
    workers: int
    workers_connected: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one project on one track: the newest finished run, and the one under way."""

    newest: Run | None
    under_way: Run | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first page rests on; the cells' keys are (project, track name)."""

    farm: Farm
    projects: list[Project]
    tracks: list[Track]
    cells: dict[tuple[str, str], Cell]
    commits: list[Commit]
