"""A regression on its way through the whole farm: seen, confirmed, controlled, and said to be the interpreter's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from miniprojects import PYTEST, MiniProject
from sqlalchemy import select
from trunk import TrunkCommit, make_trunk

from minifarm import MiniFarm, running
from pybots.database.tables import ComparisonRow, RunRow, TestRow, VerdictRow
from pybots_worker.contract import RunSpecification, StoredInterpreter

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]

COLOURS = "def mix(a, b):\n    return (a + b) / 2\n"
BROKEN = "def mix(a, b):\n    return a + b / 2\n"

USES_IT = MiniProject(
    "uses-colorsys",
    """
import colorsys
def test_mix(): assert colorsys.mix(1, 3) == 2
def test_mix_again(): assert colorsys.mix(3, 5) == 4
def test_other(): pass
""",
    command=list(PYTEST),
    report="junit",
    requirements=["pytest"],
)


def closed(farm: MiniFarm) -> bool:
    with farm.sessions.reading() as session:
        states = set(session.scalars(select(ComparisonRow.state)))
    return states == {"closed"}


def test_the_interpreter_broke_it(wheelhouse: Path, tmp_path: Path) -> None:
    trunk = tmp_path / "cpython"
    make_trunk(
        trunk,
        [
            TrunkCommit("Mix", {"Lib/colorsys.py": COLOURS}),
            TrunkCommit("Mix faster", {"Lib/colorsys.py": BROKEN}),
        ],
    )
    (tmp_path / "farm").mkdir()
    farm = MiniFarm(tmp_path / "farm", trunk, packages=wheelhouse, first_commits=2)
    USES_IT.write(farm.recipes, farm.sources)
    with running(farm):
        farm.wait("the comparison to end", lambda: closed(farm), seconds=300)
        runs = {run.key: run for run in farm.runs()}
        with farm.sessions.reading() as session:
            (comparison,) = session.scalars(select(ComparisonRow)).all()
            verdicts = {
                name: row
                for row, name in session.execute(
                    select(VerdictRow, TestRow.name).join(TestRow, TestRow.id == VerdictRow.test_id)
                )
            }
    assert len(verdicts) == 2, verdicts
    assert {row.cause for row in verdicts.values()} == {"interpreter"}, [
        row.reason for row in verdicts.values()
    ]
    assert all(row.chance < 1e-3 for row in verdicts.values())
    subject = next(run for run in runs.values() if run.id == comparison.subject_id)
    for row in verdicts.values():
        trials = [runs[key] for key in json.loads(row.evidence)]
        confirmations = [run for run in trials if run.role == "confirmation"]
        controls = [run for run in trials if run.role == "control"]
        assert confirmations
        assert controls
        assert {run.worker for run in trials} == {subject.worker}
        for run in confirmations:
            assert differs_in(run, subject) == set()
        for run in controls:
            assert differs_in(run, subject) == {"interpreter"}


def differs_in(one: RunRow, other: RunRow) -> set[str]:
    """What two finished runs do not have in common."""
    here, there = (
        RunSpecification.model_validate_json(run.specification).interpreter for run in (one, other)
    )
    assert isinstance(here, StoredInterpreter)
    assert isinstance(there, StoredInterpreter)
    same = {
        "interpreter": here.digest == there.digest,
        "revision": one.revision == other.revision,
        "environment": one.environment_digest == other.environment_digest,
    }
    return {name for name, holds in same.items() if not holds}
