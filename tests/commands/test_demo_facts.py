"""What `pybots demo` and `pybots replay` write, and what the demonstration sees, on a real SQLite database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pybots.commands import facts
from pybots.commands.demonstration.watch import Watch
from pybots.database.engine import Sessions
from pybots.database.tables import Condition, Heartbeat, Request
from pybots.registry.recipe import Recipe
from rows import NOW, Rows


class Strict(BaseModel):
    """The design page's contract, field by field."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Counts(Strict):
    collected: int
    passed: int
    failed: int
    error: int
    skipped: int
    deselected: int


class Run(Strict):
    project: str
    revision: str
    track: str
    role: Literal["subject", "control", "confirmation", "probe"]
    worker: str
    status: str
    seconds: float
    counts: Counts


class Interpreter(Strict):
    variant: str
    platform: str
    status: str
    seconds: float
    artifact: str | None


class Head(Strict):
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    interpreters: list[Interpreter]
    runs: list[Run]


class Cost(Strict):
    interpreters_built: int
    runs: int
    seconds: float


class Contract(Strict):
    heads: list[Head]
    incidents: list[Any]
    notices: list[Any]
    cost: Cost


def recipe(name: str, **tracks: list[str]) -> str:
    return Recipe.model_validate(
        {
            "project": {"name": name, "contacts": ["a@example.org"]},
            "source": {"pypi": name},
            "test": {"command": ["{python}", "-m", "pytest"], "report": "junit"},
            "tracks": tracks,
        }
    ).model_dump_json()


def finished(**values: Any) -> dict[str, Any]:
    return {"state": "finished", "status": "passed", "collected": 3, "passed": 2, "skipped": 1, **values}


def fill(sessions: Sessions) -> None:
    with sessions.writing() as session:
        add = Rows(session)
        attrs = add.project("attrs", recipe=recipe("attrs"))
        click = add.project("click", recipe=recipe("click"))
        add.interpreter(1, started_at=NOW)
        add.interpreter(2, started_at=NOW + timedelta(hours=1), seconds=61.27)
        add.interpreter(3, status="inherited", artifact_id=None, inherited_from_id=add.interpreter(2).id)
        add.run(1, attrs, **finished())
        add.run(2, attrs, **finished(seconds=12.34, revision="25.1", worker="two", deselected=4))
        add.run(2, click, **finished(status="tests-failed", failed=1, passed=1))
        later = NOW + timedelta(hours=2)
        add.run(2, attrs, again=1, **finished(wanted_at=later, started_at=later))
        branch = add.branch()
        branch.head_commit_id, branch.polled_at = add.commit(3).id, later


def test_the_contract_is_kept(sessions: Sessions) -> None:
    fill(sessions)
    answer = Contract.model_validate(facts.gather(sessions, seconds=100.04))
    assert [len(head.runs) for head in answer.heads] == [1, 3, 0]
    assert [head.interpreters[0].status for head in answer.heads] == ["proven", "proven", "inherited"]
    assert answer.heads[2].interpreters[0].artifact is None
    assert answer.heads[1].interpreters[0].seconds == 61.3
    assert answer.heads[1].runs[0] == Run(
        project="attrs",
        revision="25.1",
        track="main · default · linux-x86_64-glibc",
        role="subject",
        worker="two",
        status="passed",
        seconds=12.3,
        counts=Counts(collected=3, passed=2, failed=0, error=0, skipped=1, deselected=4),
    )
    assert answer.cost == Cost(interpreters_built=2, runs=4, seconds=100.0)


def test_what_was_before_can_be_left_out(sessions: Sessions) -> None:
    fill(sessions)
    answer = Contract.model_validate(facts.gather(sessions, NOW + timedelta(minutes=90)))
    assert [len(head.runs) for head in answer.heads] == [0, 1, 0]
    assert answer.cost.interpreters_built == 0
    assert answer.cost.runs == 1


def test_an_empty_farm(sessions: Sessions) -> None:
    answer = Contract.model_validate(facts.gather(sessions))
    assert answer == Contract(
        heads=[], incidents=[], notices=[], cost=Cost(interpreters_built=0, runs=0, seconds=0)
    )


def watch(sessions: Sessions, since: datetime, variants: tuple[str, ...] = ("default",)) -> Watch:
    # Nothing listens at this address: Buildbot's pages are no condition for anything.
    return Watch(sessions, "http://127.0.0.1:9/", variants, since)


def test_the_newest_of_everything_counts(sessions: Sessions) -> None:
    fill(sessions)
    standing = watch(sessions, NOW).standing(again=False)
    [interpreter] = standing.interpreters
    assert interpreter.commit.endswith("2")  # the head inherits from it
    assert standing.expected == (("attrs", interpreter.key), ("click", interpreter.key))
    newest = {run.project: run.wanted_at for run in standing.runs if run.interpreter == interpreter.key}
    assert newest == {"attrs": NOW + timedelta(hours=2), "click": NOW}
    assert standing.complete


def test_again_means_that_earlier_runs_do_not_count(sessions: Sessions) -> None:
    fill(sessions)
    standing = watch(sessions, NOW + timedelta(minutes=90)).standing(again=True)
    assert [run.project for run in standing.runs] == ["attrs"]
    assert not standing.complete


def test_before_the_first_poll_nothing_is_known(sessions: Sessions) -> None:
    fill(sessions)
    assert watch(sessions, NOW + timedelta(hours=3)).standing(again=False).interpreters == ()


def test_variants_that_were_not_asked_for_do_not_count(sessions: Sessions) -> None:
    fill(sessions)
    with sessions.writing() as session:
        add = Rows(session)
        add.interpreter(2, add.track(variant="debug"), state="running", status="", artifact_id=None)
    assert len(watch(sessions, NOW).standing(again=False).interpreters) == 1
    both = watch(sessions, NOW, ("default", "debug")).standing(again=False)
    assert [fact.track.variant for fact in both.interpreters] == ["default", "debug"]
    assert both.phases == {}


def test_an_interpreter_that_failed_is_nothing_to_wait_for(sessions: Sessions) -> None:
    fill(sessions)
    with sessions.writing() as session:
        add = Rows(session)
        add.interpreter(2, add.track(variant="debug"), status="prove-failed", artifact_id=None)
        add.project("attrs").recipe = recipe("attrs", variants=[])
    standing = watch(sessions, NOW, ("default", "debug")).standing(again=False)
    assert [fact.status for fact in standing.interpreters] == ["proven", "prove-failed"]
    assert {key for _, key in standing.expected} == {standing.interpreters[0].key}
    assert standing.complete


def test_a_recipe_says_where_it_runs_and_a_broken_one_is_named(sessions: Sessions) -> None:
    fill(sessions)
    with sessions.writing() as session:
        add = Rows(session)
        add.project("elsewhere", recipe=recipe("elsewhere", variants=["debug"]))
        add.project("broken", problem="broken.toml:3: unknown key")
        add.project("gone", recipe=recipe("gone"), registered=False)
    standing = watch(sessions, NOW).standing(again=False)
    assert [project for project, _ in standing.expected] == ["attrs", "click"]
    assert standing.set_aside == (("broken", "broken.toml:3: unknown key"),)


def test_whether_it_ran_before(sessions: Sessions) -> None:
    assert not watch(sessions, NOW).ran_before()
    fill(sessions)
    assert watch(sessions, NOW).ran_before()
    with sessions.writing() as session:
        Rows(session).run(2, Rows(session).project("click"), again=1)
    assert not watch(sessions, NOW).ran_before()


def test_the_request_to_run_again(sessions: Sessions) -> None:
    watch(sessions, NOW).ask_to_run_again(NOW)
    with sessions.reading() as session:
        [request] = session.query(Request).all()
    assert (request.kind, request.subject, request.applied_at) == ("run-again", "", None)


def test_troubles_are_told(sessions: Sessions) -> None:
    with sessions.writing() as session:
        session.add(Condition(name="trunk", since=NOW, text="the trunk cannot be fetched"))
        session.add(Heartbeat(process="master", started_at=NOW, at=NOW))
    now = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
    assert watch(sessions, NOW).troubles(now) == [
        "the trunk cannot be fetched",
        "the master is silent since 12:00:00 UTC",
    ]
    # A heartbeat from before this demonstration says nothing of the master that is starting.
    assert watch(sessions, now).troubles(now) == ["the trunk cannot be fetched"]
