"""The tables of the results database.

A *place* orders the subject runs of one project on one track: the commit's first-parent position times
`PLACES_PER_COMMIT`, plus how many subject runs came before on the same commit. An interval says that a test
had one outcome at every complete run whose place lies in [first_place, end_place).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pybots.database.types import String, Text, UtcDateTime

PLACES_PER_COMMIT = 1024

# SQLite counts rows by itself only in a column declared INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """What all tables have in common: times are aware and in UTC."""

    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012  (SQLAlchemy's own idiom)


class Branch(Base):
    """A CPython branch under test, and the head that the poller saw last."""

    __tablename__ = "branches"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    head_commit_id: Mapped[int | None] = mapped_column(ForeignKey("commits.id"))
    polled_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")
    """Why the last poll failed; empty when it did not."""


class Commit(Base):
    """A CPython commit and what it touches (`commits.classify.Touches`)."""

    __tablename__ = "commits"
    id: Mapped[int] = mapped_column(primary_key=True)
    sha: Mapped[str] = mapped_column(String(40), unique=True)
    parent_sha: Mapped[str] = mapped_column(String(40), default="")
    """First parent; empty for a root."""
    author_name: Mapped[str] = mapped_column(String(300))
    author_email: Mapped[str] = mapped_column(String(300))
    committed_at: Mapped[datetime]
    subject: Mapped[str] = mapped_column(String(500))
    touches: Mapped[str] = mapped_column(String(40))
    files_changed: Mapped[int]
    release: Mapped[str] = mapped_column(String(40), default="")
    """The tag of the release that it is (`v3.15.0a1`); empty for nearly all."""


class BranchCommit(Base):
    """Where a commit stands on a branch: first-parent order, counted from the branch's first known commit."""

    __tablename__ = "branch_commits"
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"), index=True)
    selection: Mapped[str] = mapped_column(String(40))
    """`commits.select.Selection`: build, inherit, or not built, with the reason."""
    __table_args__ = (UniqueConstraint("branch_id", "commit_id"),)


class Track(Base):
    """branch x variant x platform: one line of history."""

    __tablename__ = "tracks"
    id: Mapped[int] = mapped_column(primary_key=True)
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"))
    variant: Mapped[str] = mapped_column(String(60))
    platform: Mapped[str] = mapped_column(String(60))
    __table_args__ = (UniqueConstraint("branch_id", "variant", "platform"),)


class ArtifactRow(Base):
    """An installed interpreter that is in the store, or was."""

    __tablename__ = "artifacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    tree_bytes: Mapped[int] = mapped_column(BigInteger)
    added_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    """What the store grew by, compressed, when it was taken in: only what no other artifact had."""
    stored_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    """When retention took it out of the store; None while it can be handed out."""


class InterpreterRow(Base):
    """One commit on one track: wanted, under way, finished, or inherited from an ancestor.

    `state` is one of wanted, requested, running, finished; a row in `wanted` is the want that the dispatcher
    turns into a Buildbot request. `status` is `contract.InterpreterStatus`, `inherited`, or `worker-lost`.
    """

    __tablename__ = "interpreters"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"), index=True)
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"), index=True)
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), index=True)
    status: Mapped[str] = mapped_column(String(40), default="")
    inherited_from_id: Mapped[int | None] = mapped_column(ForeignKey("interpreters.id"), index=True)
    artifact_id: Mapped[int | None] = mapped_column(ForeignKey("artifacts.id"))
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str] = mapped_column(String(100), default="")
    wanted_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    clean_build: Mapped[bool | None]
    fell_back: Mapped[bool] = mapped_column(default=False)
    detail: Mapped[str] = mapped_column(String(500), default="")
    phases: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: a list of `contract.Phase`."""
    proof: Mapped[str] = mapped_column(Text, default="")
    """JSON: a `contract.Proof`, or empty."""
    log_tail: Mapped[str] = mapped_column(Text, default="")
    buildbot_build: Mapped[int | None]
    not_on: Mapped[str] = mapped_column(Text, default="")
    """Workers that may not make it, with commas: what they made of it was their own fault."""
    judged: Mapped[str] = mapped_column(String(20), default="", index=True)
    """Of one that ended: `due` while it has to be judged (`incidents.trunk`), then `judged`."""
    __table_args__ = (
        UniqueConstraint("track_id", "commit_id"),
        Index("ix_interpreters_place", "track_id", "position"),
    )


class InterpreterTrial(Base):
    """A clean build that shows whose fault it is that an interpreter was not made; its artifact is not kept.

    `state` and `status` mean what an interpreter's do.
    """

    __tablename__ = "interpreter_trials"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(240), unique=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("interpreters.id"), index=True)
    """The one that was not made."""
    interpreter_id: Mapped[int] = mapped_column(ForeignKey("interpreters.id"))
    """The one whose commit is built."""
    role: Mapped[str] = mapped_column(String(20))
    """`confirmation`: the subject's own commit again; `control`: the last good one before it."""
    on_worker: Mapped[str] = mapped_column(String(100))
    """The one worker that may carry it out."""
    state: Mapped[str] = mapped_column(String(20), index=True)
    status: Mapped[str] = mapped_column(String(40), default="")
    detail: Mapped[str] = mapped_column(String(500), default="")
    log_tail: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str] = mapped_column(String(100), default="")
    wanted_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    buildbot_build: Mapped[int | None]


class ProjectRow(Base):
    """A registered project, or one whose recipe is set aside (`problem` says where and why)."""

    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    summary: Mapped[str] = mapped_column(String(500), default="")
    url: Mapped[str] = mapped_column(String(500), default="")
    registered: Mapped[bool] = mapped_column(default=True)
    """False once its recipe is gone: its history stays."""
    problem: Mapped[str] = mapped_column(Text, default="")
    recipe: Mapped[str] = mapped_column(Text, default="")
    """The recipe as last read without a problem: JSON of `registry.recipe.Recipe`."""


class EnvironmentRow(Base):
    """A frozen set of distributions, by the digest of its lock."""

    __tablename__ = "environments"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    requirements: Mapped[str] = mapped_column(Text)
    build_constraints: Mapped[str] = mapped_column(Text, default="")


class RunRow(Base):
    """One execution of a project's suite.

    `state` is one of wanted, requested, running, finished, with the same meaning as an interpreter's; a
    finished run is ingested: it and its outcomes are saved in one transaction. `status` is `runs.status.RunStatus`.
    """

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"))
    interpreter_id: Mapped[int] = mapped_column(ForeignKey("interpreters.id"), index=True)
    place: Mapped[int] = mapped_column(BigInteger)
    role: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    status: Mapped[str] = mapped_column(String(40), default="")
    detail: Mapped[str] = mapped_column(String(500), default="")
    specification: Mapped[str] = mapped_column(Text)
    """JSON of `contract.RunSpecification`, frozen when the run was planned."""
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str] = mapped_column(String(100), default="")
    revision: Mapped[str] = mapped_column(String(500), default="")
    environment_id: Mapped[int | None] = mapped_column(ForeignKey("environments.id"), index=True)
    environment_digest: Mapped[str] = mapped_column(String(64), default="")
    """Of what was really installed, as the worker saw it: the same for a lock that is installed again."""
    complete: Mapped[bool] = mapped_column(default=False)
    """True when the whole suite was collected and ran to its end, so that a test not reported is absent."""
    outcomes_digest: Mapped[str] = mapped_column(String(64), default="")
    report_digest: Mapped[str] = mapped_column(String(64), default="")
    """Of the report without its times (`results.report_digest`): one that repeats it need not be read."""
    wanted_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    suite_seconds: Mapped[float] = mapped_column(default=0.0)
    collected: Mapped[int] = mapped_column(default=0)
    passed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    expected_failure: Mapped[int] = mapped_column(default=0)
    unexpected_pass: Mapped[int] = mapped_column(default=0)
    deselected: Mapped[int] = mapped_column(default=0)
    phases: Mapped[str] = mapped_column(Text, default="[]")
    buildbot_build: Mapped[int | None]
    comparison_id: Mapped[int | None] = mapped_column(index=True)
    """The comparison that asked for it; None for a subject. (Comparisons have the foreign key.)"""
    back: Mapped[str] = mapped_column(String(60), default="")
    """Axes put back to the baseline's (`verdicts.evidence.Back`), sorted, with commas; empty: all as in the subject."""
    trial: Mapped[int] = mapped_column(default=0)
    """Its number within the comparison, in the order in which they are carried out."""
    alone: Mapped[bool] = mapped_column(default=False)
    """Of a trial: only what it was asked for is run, where that can be done (`specification.tests`)."""
    items: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: of a trial, the items that it was asked for (`verdicts.evidence`): names of tests, empty for the whole."""
    on_worker: Mapped[str] = mapped_column(String(100), default="")
    """The one worker that may carry it out; empty: any that is not in `not_on`."""
    not_on: Mapped[str] = mapped_column(Text, default="")
    """Workers that may not, with commas."""
    machine_idle: Mapped[bool] = mapped_column(default=False)
    """True where nothing else may run on that machine meanwhile."""
    compared: Mapped[str] = mapped_column(String(20), default="", index=True)
    """Of a finished subject: `due` while it has to be compared, then `compared`; empty for every other run."""
    __table_args__ = (Index("ix_runs_history", "project_id", "track_id", "place"),)


class RunLog(Base):
    """The bounded log of a run, zstandard-compressed."""

    __tablename__ = "run_logs"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    compressed: Mapped[bytes] = mapped_column(LargeBinary)
    truncated: Mapped[bool] = mapped_column(default=False)
    native_stack: Mapped[str] = mapped_column(Text, default="")
    """Of a crash that left one (`contract.RunResult`)."""


class TopLevels(Base):
    """What can be imported in an environment, and who brought it (`contract.RunResult.top_levels`)."""

    __tablename__ = "top_levels"
    environment_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of what was really installed (`RunRow.environment_digest`)."""
    names: Mapped[str] = mapped_column(Text)
    """JSON: an object."""


class TestRow(Base):
    """A test's global identity: its project and the name that its runner gives it."""

    __tablename__ = "tests"
    __test__ = False  # pytest would take it for a test class
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(1000))
    __table_args__ = (UniqueConstraint("project_id", "name"),)


class FailureRow(Base):
    """What a test said when it failed; one row for every distinct text."""

    __tablename__ = "failures"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """Of message and traceback."""
    signature: Mapped[str] = mapped_column(String(64), index=True)
    """Of the normalised text: without paths, line numbers, addresses and times (`results.signature`)."""
    exception: Mapped[str] = mapped_column(String(200), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    traceback: Mapped[str] = mapped_column(Text, default="")


class ComparisonRow(Base):
    """A subject run beside its baseline, from the first difference to the last verdict.

    `state`: `due` while the decision has to look at it, `waiting` while trials are under way or a later subject run is
    awaited, `closed` when every item has its verdict.
    """

    __tablename__ = "comparisons"
    id: Mapped[int] = mapped_column(primary_key=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    baseline_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    """The subject run on the baseline interpreter; None where there is none yet."""
    baseline_interpreter_id: Mapped[int | None] = mapped_column(ForeignKey("interpreters.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"))
    state: Mapped[str] = mapped_column(String(20), index=True)
    moved: Mapped[str] = mapped_column(String(60), default="")
    """Axes that differ between the two, sorted, with commas."""
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    wait_until: Mapped[datetime | None]
    """When a later subject run is no longer waited for."""
    __table_args__ = (UniqueConstraint("subject_id", "baseline_id"),)


class VerdictRow(Base):
    """One item of a comparison: what differs; once `decided_at` is set, whose it is (`verdicts.verdict.Verdict`)."""

    __tablename__ = "verdicts"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    test_id: Mapped[int | None] = mapped_column(ForeignKey("tests.id"), index=True)
    """None for the run as a whole."""
    kind: Mapped[str] = mapped_column(String(40))
    signature: Mapped[str] = mapped_column(String(64), default="")
    """By which items are one cluster, within and across projects."""
    failure_id: Mapped[int | None] = mapped_column(ForeignKey("failures.id"))
    """What it said."""
    decided_at: Mapped[datetime | None]
    cause: Mapped[str] = mapped_column(String(20), default="", index=True)
    axes: Mapped[str] = mapped_column(String(60), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    chance: Mapped[float] = mapped_column(default=1.0)
    rate: Mapped[float | None]
    only_together: Mapped[bool] = mapped_column(default=False)
    evidence: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: keys of the trials."""
    representative_id: Mapped[int | None] = mapped_column(ForeignKey("verdicts.id"))
    surfaced: Mapped[str] = mapped_column(String(20), default="")
    """Whose code raised: `project`, `dependency`, `standard-library`, `native`; empty where nothing tells."""
    surfaced_in: Mapped[str] = mapped_column(String(300), default="")
    """The distribution, module or library by name."""
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incidents.id"), index=True)
    __table_args__ = (UniqueConstraint("comparison_id", "test_id"),)


class IncidentRow(Base):
    """One regression, however many tests, tracks and projects show it (`incidents.states`)."""

    __tablename__ = "incidents"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    """`verdicts.evidence.Kind` of what it was opened for; the trunk's own: `trunk:compile-failed`."""
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    """Whose run showed it first; None for the trunk's own."""
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"))
    cause: Mapped[str] = mapped_column(String(20))
    axes: Mapped[str] = mapped_column(String(60), default="")
    title: Mapped[str] = mapped_column(String(300))
    reason: Mapped[str] = mapped_column(Text, default="")
    signature: Mapped[str] = mapped_column(String(64), index=True)
    fault: Mapped[str] = mapped_column(String(64), default="", index=True)
    """What all its members have in common (`incidents.fault`)."""
    last_good_position: Mapped[int | None]
    first_bad_position: Mapped[int]
    """On the branch: the interpreters of baseline and subject; the culprit is between them, this one included."""
    past_ranges: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: [last good, first bad] of each time before, where it was fixed and came back."""
    state: Mapped[str] = mapped_column(String(20), index=True)
    opened_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(String(200), default="")
    muted_until: Mapped[datetime | None]
    upstream: Mapped[str] = mapped_column(String(500), default="")
    """The address of an issue elsewhere."""


class IncidentMember(Base):
    """One item on one track that shows an incident; `fixed_place` once it no longer does."""

    __tablename__ = "incident_members"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incidents.id"), index=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"), index=True)
    test_id: Mapped[int | None] = mapped_column(ForeignKey("tests.id"), index=True)
    verdict_id: Mapped[int | None] = mapped_column(ForeignKey("verdicts.id"))
    interpreter_id: Mapped[int | None] = mapped_column(ForeignKey("interpreters.id"))
    """Of a trunk's incident: the interpreter that was not made."""
    first_place: Mapped[int] = mapped_column(BigInteger)
    fixed_place: Mapped[int | None] = mapped_column(BigInteger)


class IncidentTransition(Base):
    """What became of an incident, when, on what evidence, and who said so (`farm`, or a person's name)."""

    __tablename__ = "incident_transitions"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incidents.id"), index=True)
    at: Mapped[datetime]
    state_before: Mapped[str] = mapped_column(String(20), default="")
    state: Mapped[str] = mapped_column(String(20))
    what: Mapped[str] = mapped_column(String(40), default="")
    """`opened`, `joined`, `acknowledged`, `muted`, `linked`, ...: also where the state stays."""
    who: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: keys of runs and interpreters."""


class WorkerFault(Base):
    """What a worker was seen to do wrong, and the run or interpreter in which: the worker's record."""

    __tablename__ = "worker_faults"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    worker: Mapped[str] = mapped_column(String(100), index=True)
    at: Mapped[datetime]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    interpreter_key: Mapped[str] = mapped_column(String(200), default="")
    what: Mapped[str] = mapped_column(String(500))


class RunFailureRow(Base):
    """A bad outcome in a run that intervals do not tell of: one that is incomplete, or not a subject.

    Of a run that a comparison asked for, also every other outcome of the items that it was asked for.

    Only the first `results.store.KEPT_FAILURES` of a run are kept; the run's counts say how many there were.
    """

    __tablename__ = "run_failures"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    test_id: Mapped[int] = mapped_column(ForeignKey("tests.id"), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(20))
    failure_id: Mapped[int | None] = mapped_column(ForeignKey("failures.id"))


class IntervalRow(Base):
    """One outcome of one test on one track, over the complete runs at places in [first_place, end_place)."""

    __tablename__ = "intervals"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    test_id: Mapped[int] = mapped_column(ForeignKey("tests.id"))
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    first_place: Mapped[int] = mapped_column(BigInteger)
    end_place: Mapped[int | None] = mapped_column(BigInteger)
    """None while it lasts."""
    outcome: Mapped[str] = mapped_column(String(20))
    failure_id: Mapped[int | None] = mapped_column(ForeignKey("failures.id"))
    __table_args__ = (
        UniqueConstraint("test_id", "track_id", "first_place"),
        Index("ix_intervals_current", "project_id", "track_id", "end_place"),
    )


class LastReport(Base):
    """The newest complete subject run's report, without its times: of the next one only what differs is read.

    At most one for a project on a track, written over by the next; without it, reports are read in full.
    """

    __tablename__ = "last_reports"
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id"), primary_key=True)
    report_digest: Mapped[str] = mapped_column(String(64))
    """That of the run's row. Another one there, and this is an older run's."""
    compressed: Mapped[bytes] = mapped_column(LargeBinary)


class Heartbeat(Base):
    """When a process was last heard of (`master`)."""

    __tablename__ = "heartbeats"
    process: Mapped[str] = mapped_column(String(40), primary_key=True)
    started_at: Mapped[datetime]
    at: Mapped[datetime]


class Condition(Base):
    """Something degraded that people should know of: a broken configuration, a branch that cannot be polled."""

    __tablename__ = "conditions"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    since: Mapped[datetime]
    text: Mapped[str] = mapped_column(Text)


class WorkerRow(Base):
    """A donated worker as the master last saw it."""

    __tablename__ = "workers"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    platform: Mapped[str] = mapped_column(String(60))
    owner: Mapped[str] = mapped_column(String(200), default="")
    connected: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime]
    doing: Mapped[str] = mapped_column(String(300), default="")
    sandbox: Mapped[str] = mapped_column(String(400), default="")
    """What the page says of its sandbox: empty where it has one."""


class Request(Base):
    """What a person asks of the master; written by the site and the command line, applied by the master once.

    `kind` is `run-again` (every registered project on the newest interpreters of `subject`, a branch; empty for all),
    or one of `incidents.asked.Asked` (of the incident whose number is `subject`).
    """

    __tablename__ = "requests"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(300), default="")
    who: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    value: Mapped[str] = mapped_column(String(500), default="")
    """What the kind needs besides: the time until which an incident is muted, an address."""
    requested_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
