"""An artifact's way from a worker's folder into the store and the database, without Buildbot in between."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from pybots.database.engine import Sessions
from pybots.database.tables import ArtifactRow, InterpreterRow
from pybots.interpreters.artifact_store import ArtifactRejected, ArtifactStore, FilesMissing
from pybots.interpreters.store_arrival import Arrival
from pybots_worker.contract import (
    MANIFEST_FILE,
    PACK_FILE,
    WANTED_FILE,
    Artifact,
    InterpreterResult,
    InterpreterStatus,
)
from pybots_worker.interpreters.pack import pack_new, pack_tree, pack_wanted
from rows import Rows

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Journey:
    """A worker's folder and the master's."""

    sessions: Sessions
    folder: Path

    def __post_init__(self) -> None:
        self.store = ArtifactStore(self.folder / "store")
        self.output = self.folder / "job"
        self.output.mkdir()

    def build(self, **files: str) -> Arrival:
        """Pack a tree on the worker, and upload its manifest."""
        tree, incoming = self.folder / "tree", self.folder / "incoming"
        for folder in (tree, incoming):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for name, content in files.items():
            (tree / name).write_text(content)
        artifact = pack_tree(tree, self.output)
        shutil.copy(self.output / MANIFEST_FILE, incoming)
        with self.sessions.writing() as session:
            position = len(session.scalars(select(InterpreterRow)).all()) + 1
            key = Rows(session, NOW).interpreter(position, state="running", status="", artifact_id=None).key
        result = InterpreterResult(
            key=key,
            status=InterpreterStatus.PROVEN,
            clean_build=True,
            phases=[],
            seconds=1,
            artifact=artifact,
        )
        return Arrival(self.sessions, self.store, incoming, lambda: NOW, result, artifact)

    def upload(self, arrival: Arrival, wanted: list[str]) -> int:
        """Have the worker pack these files, and upload the pack; return its bytes."""
        (self.output / WANTED_FILE).write_text("\n".join(wanted))
        size = pack_wanted(self.output, arrival.artifact.digest)
        shutil.copy(self.output / PACK_FILE, arrival.incoming)
        return size

    def rows(self) -> list[ArtifactRow]:
        """What the database knows of artifacts."""
        with self.sessions.reading() as session:
            return list(session.scalars(select(ArtifactRow).order_by(ArtifactRow.id)))


@pytest.fixture
def journey(sessions: Sessions, tmp_path: Path) -> Journey:
    return Journey(sessions, tmp_path)


def test_what_is_lacking_is_asked_for_and_a_row_comes_last(journey: Journey) -> None:
    arrival = journey.build(a="a" * 1000, b="b")
    lacking, largest = arrival.lacking()
    assert len(lacking) == 2
    assert journey.upload(arrival, lacking) <= largest
    assert journey.rows() == []
    arrival.take_in()
    arrival.save()
    (row,) = journey.rows()
    assert journey.store.holds(row.digest)
    assert (row.tree_bytes, row.removed_at) == (1001, None)
    assert row.added_bytes == sum(file.size for file in journey.store.files())
    assert not arrival.incoming.exists()


def test_of_the_next_commit_only_what_differs_travels(journey: Journey) -> None:
    first = journey.build(a="a" * 1000, b="b")
    journey.upload(first, first.lacking()[0])
    first.take_in()
    first.save()
    second = journey.build(a="a" * 1000, b="B")
    lacking, _ = second.lacking()
    assert len(lacking) == 1
    journey.upload(second, lacking)
    second.take_in()
    second.save()
    third = journey.build(a="a" * 1000, b="b")
    assert third.lacking()[0] == []
    third.save()
    assert [row.added_bytes > 0 for row in journey.rows()] == [True, True]
    assert len(journey.store.manifests()) == 2


def test_an_artifact_that_is_not_all_there_gets_no_row_and_is_asked_for_again(journey: Journey) -> None:
    arrival = journey.build(a="a", b="b")
    lacking, _ = arrival.lacking()
    journey.upload(arrival, lacking[:1])
    arrival.take_in()
    with pytest.raises(FilesMissing):
        arrival.save()
    assert journey.rows() == []
    assert arrival.lacking()[0] == lacking[1:]
    journey.upload(arrival, lacking[1:])
    arrival.take_in()
    arrival.save()
    assert arrival.added_bytes == sum(file.size for file in journey.store.files())


def test_what_a_worker_says_of_an_artifact_is_not_believed(journey: Journey) -> None:
    arrival = journey.build(a="a")
    journey.upload(arrival, arrival.lacking()[0])
    arrival.artifact = arrival.artifact.model_copy(update={"tree_bytes": 1 << 50})
    arrival.take_in()
    arrival.save()
    assert [row.tree_bytes for row in journey.rows()] == [1]
    other = journey.build(a="b")
    other.artifact = Artifact(digest="0" * 64, tree_bytes=1)
    with pytest.raises(ArtifactRejected, match="the manifest's digest is"):
        other.lacking()


def test_what_was_packed_without_being_asked_for_is_enough_or_the_rest_is_asked_for(journey: Journey) -> None:
    """The worker knows what its last interpreter had, not what the store has."""
    first = journey.build(a="a" * 1000, b="b")
    assert pack_new(journey.output, first.manifest(), set()) > 0
    shutil.copy(journey.output / PACK_FILE, first.incoming)
    first.take_in()
    known = set(first.manifest().sizes())
    first.save()
    second = journey.build(a="a" * 1000, b="B")
    journey.store.file_path(hashlib.sha256(b"a" * 1000).hexdigest()).unlink()
    assert pack_new(journey.output, second.manifest(), known) > 0
    shutil.copy(journey.output / PACK_FILE, second.incoming)
    second.take_in()
    with pytest.raises(FilesMissing):
        second.save()
    lacking, _ = second.lacking()
    assert lacking == [hashlib.sha256(b"a" * 1000).hexdigest()]
    journey.upload(second, lacking)
    second.take_in()
    second.save()
    assert journey.store.holds(second.artifact.digest)
