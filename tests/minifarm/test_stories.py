"""Each story through the real `pybots replay`: what is found, and the runs that every claim rests on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from stories import Story, read_stories

from pybots.database.engine import Sessions
from pybots.database.tables import (
    ComparisonRow,
    EnvironmentRow,
    InterpreterRow,
    ProjectRow,
    RunFailureRow,
    RunRow,
    VerdictRow,
    WorkerFault,
)
from pybots.incidents.read_incidents import Incident, incidents
from pybots.site.read_folder import read_folder
from pybots.verdicts.verdict import CLAIMS
from pybots_worker.contract import RunSpecification

SIDE_BY_SIDE = 2
WITHOUT_CHANGE = 300
LONGEST = 1500
STORIES = {story.name: story for story in read_stories()}

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(3000)]


@dataclass(frozen=True)
class Told:
    """A story that was replayed: what was written, and the farm's database."""

    story: Story
    commits: list[str]
    out: Mapping[str, Any]
    sessions: Sessions
    log: str


def tell(story: Story, folder: Path) -> Told:
    """Replay *story* in *folder*, from the command line."""
    commits = story.lay_out(folder)
    farm, out = folder / "farm", folder / "out.json"
    command = [str(Path(sys.executable).parent / "pybots"), "replay", str(folder / "replay.toml")]
    command += ["--dir", str(farm), "--json", str(out), "--patience", str(WITHOUT_CHANGE)]
    with (folder / "log").open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, timeout=LONGEST * 2, check=False)
    said = (folder / "log").read_text()
    assert done.returncode == 0, said
    return Told(story, commits, json.loads(out.read_text()), read_folder(farm).sessions(), said)


@pytest.fixture(scope="session")
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Told]]]:
    """Every story that is tested, being replayed: the longest first, a few side by side."""
    here = [item for item in request.session.items if item.path == Path(__file__)]
    asked = [item.callspec.params["name"] for item in here if "told" in item.fixturenames]  # type: ignore[attr-defined]
    wanted = sorted({STORIES[name].name for name in asked}, key=lambda name: -STORIES[name].length)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {name: pool.submit(tell, STORIES[name], tmp_path_factory.mktemp(name)) for name in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_story(name: str, told: Mapping[str, Future[Told]]) -> None:
    judge(told[name].result(LONGEST))


def judge(told: Told) -> None:
    """Compare what was found with what the story says, and look for what it rests on."""
    assert [head["commit"] for head in told.out["heads"]] == [told.commits[n] for n in told.story.heads]
    with told.sessions.reading() as session:
        found = incidents(session)
        expected = told.story.facts.get("found", [])
        assert sorted(map(shape, found)) == sorted(expected_shape(told, fact) for fact in expected), told.log
        for fact in expected:
            [incident] = [item for item in found if shape(item) == expected_shape(told, fact)]
            judge_incident(told, session, incident, fact)
        judge_the_rest(told, session)
    assert len(told.out["incidents"]) == len(expected)


def shape(incident: Incident) -> tuple[str, ...]:
    return incident.cause, ",".join(sorted(incident.members)), "" if incident.members else incident.kind


def expected_shape(told: Told, fact: Mapping[str, Any]) -> tuple[str, ...]:
    return fact["cause"], ",".join(sorted(fact["projects"])), "" if fact["projects"] else fact["kind"]


def judge_incident(told: Told, session: Session, incident: Incident, fact: Mapping[str, Any]) -> None:
    assert incident.kind == fact.get("kind", incident.kind)
    assert sorted(incident.tests) == sorted(fact.get("tests", incident.tests))
    if "last_good" in fact:
        assert incident.last_good == told.commits[fact["last_good"]]
        assert incident.first_bad == told.commits[fact["first_bad"]]
    if "variants" in fact:
        assert [track.split(" · ")[1] for track in incident.tracks] == fact["variants"]
    assert incident.open == fact.get("open", True), incident.transitions
    went_through = [transition.state for transition in incident.transitions]
    assert [state for state in fact.get("went_through", []) if state not in went_through] == []
    for project, place in fact.get("surfaced", {}).items():
        places = {
            f"{item.surfaced} {item.surfaced_in}".strip()
            for item in incident.items
            if item.project == project
        }
        assert all(found.startswith(place) for found in places), places
        assert places
    for words in fact.get("says", []):
        assert words in f"{incident.title} {incident.reason}"


def judge_the_rest(told: Told, session: Session) -> None:
    """What holds in every story."""
    verdicts = list(session.scalars(select(VerdictRow).where(VerdictRow.decided_at.is_not(None))))
    claims = [verdict for verdict in verdicts if verdict.cause in CLAIMS]
    for verdict in claims:
        judge_evidence(session, verdict)
    if not told.story.facts.get("found"):
        assert claims == []
    left = session.scalars(select(ComparisonRow.state).where(ComparisonRow.state != "closed")).all()
    assert left == []
    if "faults" in told.story.facts:
        judge_faults(told, session)
    if any(fact["kind"].startswith("trunk:") for fact in told.story.facts.get("found", []) if "kind" in fact):
        judge_not_run(told)


def judge_evidence(session: Session, verdict: VerdictRow) -> None:
    """Find the confirmations and controls, on one machine, that differ in what is blamed and in nothing else."""
    on = session.get_one(VerdictRow, verdict.representative_id or verdict.id)
    keys = set(json.loads(on.evidence)) | set(json.loads(verdict.evidence))
    trials = list(session.scalars(select(RunRow).where(RunRow.key.in_(keys)).order_by(RunRow.trial)))
    blamed = frozenset(verdict.axes.split(","))
    confirmations = [run for run in trials if run.back == ""]
    controls = [run for run in trials if frozenset(run.back.split(",")) == blamed]
    assert confirmations
    assert controls
    assert {run.role for run in confirmations} == {"confirmation"}
    subject = session.get_one(RunRow, session.get_one(ComparisonRow, on.comparison_id).subject_id)
    for run in [*confirmations, *controls]:
        assert run.worker == subject.worker
        assert run.worker in on.reason
        assert differing(subject, run, session) == (blamed if run in controls else frozenset())
    assert all(is_bad(session, run, on) for run in confirmations)
    assert not any(is_bad(session, run, on) for run in controls)


def differing(one: RunRow, other: RunRow, session: Session) -> frozenset[str]:
    """What of two runs is not the same: interpreter artifact, lock digest, revision."""
    specifications = [RunSpecification.model_validate_json(run.specification) for run in (one, other)]
    subject, trial = specifications
    found = set()
    if subject.interpreter != trial.interpreter:
        found.add("interpreter")
    if trial.lock is not None and one.environment_id is not None:
        digests = [trial.lock.digest, environment(session, one)]
        if len(set(digests)) > 1:
            found.add("dependency")
    if revision(subject) != revision(trial):
        found.add("project")
    return frozenset(found)


def environment(session: Session, run: RunRow) -> str:
    return session.get_one(EnvironmentRow, run.environment_id).digest


def revision(specification: RunSpecification) -> str:
    return specification.source.model_dump(mode="json").get("sha256", "")


def is_bad(session: Session, run: RunRow, verdict: VerdictRow) -> bool:
    """Whether the trial *run* shows what *verdict* is of."""
    if verdict.test_id is None:
        skipped = verdict.kind == "suite-skipped" and run.skipped and not run.passed
        return run.status != "passed" or bool(skipped)
    row = session.get_one(RunFailureRow, (run.id, verdict.test_id))
    return row.outcome not in {"passed", "expected-failure"}


def judge_faults(told: Told, session: Session) -> None:
    """The sick worker's record shows what it did, and every project was run elsewhere."""
    worker = told.story.facts["faults"]["worker"]
    faults = session.scalars(select(WorkerFault)).all()
    assert {fault.worker for fault in faults} == {worker}
    rows = session.execute(
        select(ProjectRow.name, RunRow.interpreter_id)
        .join(ProjectRow, ProjectRow.id == RunRow.project_id)
        .where(RunRow.role == "subject", RunRow.status == "passed")
    )
    made = session.scalars(select(InterpreterRow.id)).all()
    projects = [project["name"] for project in told.story.facts["project"]]
    assert {tuple(row) for row in rows} == {(project, number) for project in projects for number in made}


def judge_not_run(told: Told) -> None:
    """Nothing ran on what was not made."""
    for head in told.out["heads"]:
        if all(interpreter["status"] != "proven" for interpreter in head["interpreters"]):
            assert head["runs"] == []


def test_every_story_of_the_issue_is_here() -> None:
    assert [int(name.split("-")[0]) for name in sorted(STORIES)] == list(range(1, 16))
