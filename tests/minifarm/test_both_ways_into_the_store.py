"""What a worker packs at once is enough; where the master lacks more than that, it asks."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from miniprojects import PASSES

from minifarm import MiniFarm, running
from pybots.config.folder import FarmFolder
from pybots.database.tables import ArtifactRow
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.store_verify import verify

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]


def move_to(trunk: Path, commit: str) -> None:
    """Let the branch `main` of *trunk* point to *commit*, as a push would."""
    subprocess.run(["git", "update-ref", "refs/heads/main", commit], cwd=trunk, check=True, timeout=30)


def steps_of_builds(farm: MiniFarm) -> list[list[str]]:
    """The names of the steps of each build of an interpreter, from Buildbot's own database."""
    database = farm.root / "master" / "state.sqlite"
    query = (
        "select builds.id, steps.name from steps join builds on builds.id = steps.buildid"
        " order by builds.id, steps.number"
    )
    builds: dict[int, list[str]] = {}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        for build, name in connection.execute(query):
            builds.setdefault(build, []).append(name)
    return [steps for steps in builds.values() if "take in" in steps]


def test_at_once_and_by_asking(trunk: tuple[Path, list[str]], tmp_path: Path) -> None:
    commits, path = trunk[1], tmp_path / "cpython.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(trunk[0]), str(path)], check=True, timeout=60)
    move_to(path, commits[0])
    farm = MiniFarm(tmp_path, path, workers=("one",))
    PASSES.write(farm.recipes, farm.sources)
    store = ArtifactStore(FarmFolder(farm.root).store)
    with running(farm):
        farm.wait_for_runs(1)
        move_to(path, commits[2])
        farm.wait_for_runs(2)
        shutil.rmtree(store.folder / "files")
        move_to(path, commits[4])
        farm.wait_for_runs(3)
    _, library, *later = steps_of_builds(farm)
    assert not {"compare", "wanted", "pack"}.intersection(library)
    (asked,) = [steps for steps in later if "compare" in steps]
    assert asked.index("take in") < asked.index("compare") < asked.index("pack") < asked.index("store")
    rows = {row.position: row.artifact_id for row in farm.interpreters()}
    with farm.sessions.reading() as session:
        digests = [session.get_one(ArtifactRow, rows[position]).digest for position in sorted(rows)[-3::2]]
    # What the newest one has is whole again; what it does not have stays lost, and is named.
    damaged = {digest for one in verify(store).damage for digest in one.artifacts}
    assert digests[1] not in damaged
    assert digests[0] in damaged
