"""Retention against a real database and a real store, killed in the middle too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pybots.database.engine import Sessions
from pybots.database.tables import ArtifactRow
from pybots.interpreters import records
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.store_tidy import Tidied, Tidying
from pybots_worker.contract import Artifact, InterpreterResult, InterpreterStatus
from rows import Rows
from store_files import manifest_of, pack_of, sha

NOW = datetime.now(UTC)
SHARED = os.urandom(1000)


def stored(store: ArtifactStore, days: float, *own: bytes) -> str:
    """Store an artifact that has SHARED and *own*, and was taken in so long ago; return its digest."""
    files = {str(number): content for number, content in enumerate((SHARED, *own))}
    manifest = manifest_of(files)
    store.take_in_files(pack_of(*files.values()), manifest)
    store.keep(manifest)
    then = (NOW - timedelta(days=days)).timestamp()
    for path in (store.manifest_path(manifest.digest()), *map(store.file_path, manifest.sizes())):
        os.utime(path, (then, then))
    return manifest.digest()


@dataclass
class Farm:
    """A database and a store; what it stores was stored long ago, unless *days* says otherwise."""

    sessions: Sessions
    store: ArtifactStore
    limit: int = 0

    def artifact(self, position: int, *own: bytes, days: float = 10, interpreter: bool = True) -> str:
        """Store the artifact of the commit at *position*; return its digest."""
        digest = stored(self.store, days, *own)
        with self.sessions.writing() as session:
            rows = Rows(session, NOW)
            row = rows.artifact(digest, stored_at=NOW - timedelta(days=days))
            if interpreter:
                rows.interpreter(position, artifact_id=row.id)
        return digest

    def tidy(self, *, thoroughly: bool = True, **options: Any) -> Tidied:
        """Tidy up."""
        return Tidying(self.sessions, self.store, self.limit, **options).run(NOW, thoroughly=thoroughly)

    def removed(self) -> set[str]:
        """What the database says is not in the store."""
        with self.sessions.reading() as session:
            return set(session.scalars(select(ArtifactRow.digest).where(ArtifactRow.removed_at.is_not(None))))

    def there(self) -> set[str]:
        """What is in the store, whole."""
        for digest in self.store.manifests():
            assert self.store.lacking(self.store.read_manifest(digest)) == []
        return set(self.store.manifests())

    def files(self) -> set[str]:
        """The files in the store."""
        return {file.digest for file in self.store.files()}


@pytest.fixture
def farm(sessions: Sessions, tmp_path: Path) -> Farm:
    return Farm(sessions, ArtifactStore(tmp_path / "store"))


def test_only_what_nothing_rests_on_goes_with_the_files_that_it_alone_has(farm: Farm) -> None:
    old = farm.artifact(1, b"old")
    ran = farm.artifact(2, b"ran")
    newest = farm.artifact(3, b"newest")
    with farm.sessions.writing() as session:
        Rows(session, NOW).run(2, state="requested")
    done = farm.tidy()
    assert (done.artifacts_removed, done.files_removed, done.artifacts) == (1, 1, 2)
    assert farm.there() == {ran, newest}
    assert farm.removed() == {old}
    assert farm.files() == {sha(SHARED), sha(b"ran"), sha(b"newest")}


def test_what_a_project_was_run_on_last_releases_and_incidents_stay(farm: Farm) -> None:
    digests = [farm.artifact(position, b"%d" % position) for position in range(1, 7)]
    with farm.sessions.writing() as session:
        rows = Rows(session, NOW)
        rows.run(2, state="finished", complete=True)
        kept = rows.commit(3).sha
        rows.commit(5).release = "v3.15.0"
    farm.tidy(kept_commits=[kept, "fffffff"], incidents=lambda: [digests[3]])
    assert farm.there() == set(digests[1:])
    assert farm.removed() == {digests[0]}


def test_with_room_enough_nothing_goes(farm: Farm) -> None:
    farm.limit = 1_000_000
    digests = {farm.artifact(position, b"%d" % position) for position in range(3)}
    farm.tidy()
    farm.tidy(thoroughly=False)
    assert farm.there() == digests
    assert farm.removed() == set()


def test_what_is_on_its_way_stays(farm: Farm) -> None:
    """A manifest without a row, files without a manifest: an upload that is nearly done."""
    young = stored(farm.store, 0.01, b"young")
    farm.store.take_in_files(pack_of(b"x"), manifest_of({"x": b"x"}))
    farm.tidy()
    assert farm.there() == {young}
    assert sha(b"x") in farm.files()


def test_what_a_killed_master_left_goes_when_it_is_old(farm: Farm) -> None:
    farm.limit = 1_000_000
    kept = farm.artifact(1, b"kept")
    farm.store.take_in_files(pack_of(b"x"), manifest_of({"x": b"x"}))
    os.utime(farm.store.file_path(sha(b"x")), (1, 1))
    stored(farm.store, 10, b"without a row")
    farm.tidy()
    assert farm.there() == {kept}
    assert farm.files() == {sha(SHARED), sha(b"kept")}


@pytest.mark.parametrize("where", ["remove_manifest", "remove_files"])
def test_killed_in_the_middle_it_leaves_a_whole_store_and_is_finished_later(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    old = [farm.artifact(position, b"%d" % position) for position in range(1, 4)]
    newest = farm.artifact(4, b"newest")

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(farm.store, where, die)
        with pytest.raises(KeyboardInterrupt):
            farm.tidy()
    assert newest in farm.there()
    assert farm.removed() == set(old)
    for digest in old:  # `there` asked after the files
        for name in farm.store.read_manifest(digest).sizes() if farm.store.holds(digest) else ():
            os.utime(farm.store.file_path(name), (1, 1))
    farm.limit = 1_000_000
    farm.tidy()
    assert farm.there() == {newest}
    assert farm.removed() == set(old)


def test_an_artifact_that_is_lost_is_not_said_to_be_there(farm: Farm) -> None:
    farm.limit = 1_000_000
    digest = farm.artifact(1, b"1")
    farm.store.manifest_path(digest).unlink()
    farm.tidy(thoroughly=False)
    assert farm.removed() == {digest}


def test_a_broken_manifest_goes(farm: Farm) -> None:
    digest = farm.artifact(1, b"1")
    path = farm.store.manifest_path(digest)
    path.write_bytes(b"junk")
    os.utime(path, (1, 1))
    farm.tidy()
    farm.tidy()
    assert farm.store.manifests() == {}
    assert farm.removed() == {digest}


def test_a_build_brings_back_what_was_removed(farm: Farm) -> None:
    digest = farm.artifact(1, b"1")
    farm.artifact(2, b"2")
    farm.tidy()
    assert farm.removed() == {digest}
    with farm.sessions.writing() as session:
        row = Rows(session, NOW).interpreter(1)
        records.want_again(session, row, NOW)
        records.want_again(session, row, NOW)
        key = row.key
    with farm.sessions.writing() as session:
        claimed = records.claim(session, key, "w", 1, NOW, NOW)
        assert claimed is not None
        assert claimed.attempts == 1
        artifact = Artifact(digest=digest, tree_bytes=9)
        result = InterpreterResult(
            key=key,
            status=InterpreterStatus.PROVEN,
            clean_build=True,
            phases=[],
            seconds=1,
            artifact=artifact,
        )
        assert records.finish(session, result, NOW, 7)
    assert farm.removed() == set()
    assert stored(farm.store, 0, b"1") == digest
    farm.tidy()
    assert digest in farm.there()
