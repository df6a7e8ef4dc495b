"""What runs on an interpreter, asked of a real registry and saved in real tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions
from pybots.database.tables import Condition, InterpreterRow, Request, RunRow
from pybots.farm.parts import Parts
from pybots.farm.planning import Planner
from pybots.farm.requests import apply_requests
from pybots.interpreters.artifact_store import ArtifactStore
from pybots_worker.contract import RunSpecification
from rows import Rows

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECIPE = """
[project]
name = "{name}"
contacts = ["a@example.com"]
[source]
{source}
[test]
command = ["{{python}}", "-m", "pybots_unittest"]
report = "unittest"
[tracks]
variants = {variants}
"""


@pytest.fixture
def parts(tmp_path: Path, sessions: Sessions) -> Parts:
    (tmp_path / "projects").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "test_it.py").write_text("")
    return Parts(FarmFolder(tmp_path), sessions, ArtifactStore(tmp_path / "store"), lambda: NOW)


@pytest.fixture
def recipe(parts: Parts) -> Callable[..., None]:
    def write(name: str, variants: str = '["default"]', source: str = 'path = "../source"') -> None:
        text = RECIPE.format(name=name, variants=variants, source=source)
        (parts.folder.root / "projects" / f"{name}.toml").write_text(text)

    return write


@pytest.fixture
def planner(parts: Parts) -> Planner:
    worker = {
        "name": "one",
        "platform": "linux-x86_64-glibc",
        "interpreters": True,
        "password_file": "passwords/one",
    }
    configuration = FarmConfiguration.model_validate(
        {
            "trunk": {"git": "/nowhere"},
            "variants": {"default": [], "debug": []},
            "worker": [worker],
        }
    )
    return Planner(parts, configuration)


def interpreter(parts: Parts, *, position: int = 0, variant: str = "default", proven: bool = True) -> str:
    with parts.sessions.writing() as session:
        rows = Rows(session)
        track = rows.track(variant=variant)
        options = {} if proven else {"artifact_id": None}
        status = "proven" if proven else "compile-failed"
        row = rows.interpreter(track=track, position=position, state="finished", status=status, **options)
        session.flush()
        return row.key


def runs(parts: Parts) -> list[RunRow]:
    with parts.sessions.reading() as session:
        return list(session.scalars(select(RunRow).order_by(RunRow.id)))


def finish(parts: Parts) -> None:
    with parts.sessions.writing() as session:
        for row in session.scalars(select(RunRow)):
            row.state = "finished"


def test_each_project_that_asks_for_the_track_runs_once(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    recipe("everywhere", variants="[]")
    recipe("other", variants='["debug"]')
    key = interpreter(parts)
    assert sorted(run.project for run in planner.for_interpreter(key)) == ["everywhere", "plain"]
    assert planner.for_interpreter(key) == [], "a trigger that fires twice asks for nothing new"
    assert {run.state for run in runs(parts)} == {"requested"}


def test_a_run_is_frozen_when_it_is_planned(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    planner.for_interpreter(interpreter(parts))
    (run,) = runs(parts)
    specification = RunSpecification.model_validate(json.loads(run.specification))
    assert specification.source.kind == "archive"
    assert (parts.folder.sources / f"{specification.source.sha256}.tar.gz").exists()


def test_a_new_recipe_runs_on_the_newest_interpreter(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    interpreter(parts, position=0)
    newest = interpreter(parts, position=1)
    interpreter(parts, position=2, proven=False)
    assert [run.key for run in planner.for_newest()] == [f"plain~{newest}~0"]
    assert planner.for_newest() == []
    recipe("later")
    assert [run.project for run in planner.for_newest()] == ["later"]


def test_what_took_longest_is_asked_for_first(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    for name in ("a-short", "b-long", "c-elsewhere"):
        recipe(name, variants="[]")
    planner.for_interpreter(interpreter(parts, position=0))
    planner.for_interpreter(interpreter(parts, position=0, variant="debug"))
    took = {"a-short": (5, 50), "b-long": (90, 1), "c-elsewhere": (0, 40)}
    with parts.sessions.writing() as session:
        for run in session.scalars(select(RunRow)):
            project = run.key.split("~")[0]
            run.state, run.seconds = "finished", took[project]["~debug~" in run.key or run.track_id == 2]
    recipe("d-new", variants="[]")
    asked = [run.project for run in planner.for_interpreter(interpreter(parts, position=1))]
    # What never finished on this track is known from another one.
    assert asked == ["d-new", "b-long", "c-elsewhere", "a-short"]


def test_run_again_waits_for_the_run_before(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    key = interpreter(parts)
    planner.for_interpreter(key)
    with parts.sessions.writing() as session:
        session.add(Request(kind="run-again", requested_at=NOW))
        session.add(Request(kind="dance", requested_at=NOW))
    apply_requests(parts, planner)
    assert len(runs(parts)) == 1
    finish(parts)
    with parts.sessions.writing() as session:
        session.add(Request(kind="run-again", requested_at=NOW))
    apply_requests(parts, planner)
    assert [run.key for run in runs(parts)] == [f"plain~{key}~0", f"plain~{key}~1"]
    assert runs(parts)[1].place == runs(parts)[0].place + 1
    with parts.sessions.reading() as session:
        answers = [row.answer for row in session.scalars(select(Request).order_by(Request.id))]
    assert answers == [
        "0 runs wanted",
        "refused: this master does not know the request 'dance'",
        "1 runs wanted",
    ]


def test_a_folder_that_vanished_stops_its_own_project_only(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    recipe("gone", source='path = "../vanishing"')
    vanishing = parts.folder.root / "vanishing"
    vanishing.mkdir()
    key = interpreter(parts)
    vanishing.rmdir()
    assert [run.project for run in planner.for_interpreter(key)] == ["plain"]


def test_an_interpreter_that_was_not_proven_runs_nothing(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    recipe("plain")
    assert planner.for_interpreter(interpreter(parts, proven=False)) == []
    with parts.sessions.reading() as session:
        assert session.scalars(select(InterpreterRow)).one().status == "compile-failed"
        assert session.scalars(select(Condition)).all() == []


@pytest.mark.parametrize(
    "path",
    ["../secrets", "../passwords", "../master", "..", "../..", "/", "../source/../secrets", "../link"],
)
def test_a_recipe_cannot_have_the_farms_own_files_handed_out(
    parts: Parts, planner: Planner, recipe: Callable[..., None], path: str
) -> None:
    root = parts.folder.root
    for name in ("secrets", "passwords", "master"):
        (root / name).mkdir()
        (root / name / "one").write_text("a password")
    (root / "link").symlink_to(root / "secrets")
    recipe("greedy", source=f'path = "{path}"')
    recipe("plain")
    assert [run.project for run in planner.for_interpreter(interpreter(parts))] == ["plain"]
    assert len(list(parts.folder.sources.iterdir())) == 1
    with parts.sessions.reading() as session:
        assert "has the farm's own files" in session.get_one(Condition, "source of greedy").text


def test_a_recipe_cannot_have_any_other_folder_of_the_machine_handed_out(
    parts: Parts, planner: Planner, recipe: Callable[..., None], tmp_path: Path
) -> None:
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    elsewhere.mkdir()
    (parts.folder.root / "link").symlink_to(elsewhere)
    for name, path in (("greedy", str(elsewhere)), ("sly", "../link")):
        recipe(name, source=f'path = "{path}"')
    recipe("plain")
    assert [run.project for run in planner.for_interpreter(interpreter(parts))] == ["plain"]
    with parts.sessions.reading() as session:
        for name in ("greedy", "sly"):
            assert "[registry] sources" in session.get_one(Condition, f"source of {name}").text


def test_asked_by_several_threads_at_once_each_run_is_planned_once(
    parts: Parts, planner: Planner, recipe: Callable[..., None]
) -> None:
    for number in range(5):
        recipe(f"project-{number}")
    key = interpreter(parts)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: len(planner.for_interpreter(key)), range(4)))
    assert sorted(answers) == [0, 0, 0, 5]
    assert len(runs(parts)) == 5
