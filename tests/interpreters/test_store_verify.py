from __future__ import annotations

from pathlib import Path

import pytest

from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.store_verify import Damage, measure, verify
from store_files import manifest_of, pack_of, sha

FILES = {"a": b"a" * 5000, "b": b"b", "c": b"c" * 70}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    kept = ArtifactStore(tmp_path / "store")
    for names in ("ab", "bc"):
        files = {name: FILES[name] for name in names}
        kept.take_in_files(pack_of(*files.values()), manifest_of(files))
        kept.keep(manifest_of(files))
    return kept


def artifact(names: str) -> str:
    return manifest_of({name: FILES[name] for name in names}).digest()


def test_a_whole_store_is_said_to_be_whole(store: ArtifactStore) -> None:
    seen: list[int] = []
    found = verify(store, [artifact("ab")], seen.append)
    assert (found.artifacts, found.files, found.unnamed, found.damage) == (2, 3, 0, [])
    assert seen == [1, 2, 3]
    size = measure(store, 7)
    assert (size.artifacts, size.files, size.stored_bytes, size.limit_bytes) == (2, 3, found.stored_bytes, 7)


def test_every_damage_is_named_with_what_it_spoils(store: ArtifactStore) -> None:
    """One byte turned over, another file in its place, one missing, a manifest that cannot be read, another."""
    path = store.file_path(sha(FILES["a"]))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    store.file_path(sha(FILES["c"])).unlink()
    manifest = store.manifest_path(artifact("bc"))
    found = verify(store, [artifact("ab"), "0" * 64])
    assert [(one.kind, one.digest, one.artifacts) for one in found.damage] == sorted(
        [
            ("file", sha(FILES["a"]), (artifact("ab"),)),
            ("file", sha(FILES["c"]), (artifact("bc"),)),
            ("manifest", "0" * 64, ("0" * 64,)),
        ]
    )
    manifest.write_bytes(b"no manifest")
    (broken,) = [one for one in verify(store).damage if one.kind == "manifest"]
    assert broken.digest == artifact("bc")
    assert "zstd" in broken.problem


def test_a_file_in_anothers_place_and_one_that_nothing_names(store: ArtifactStore) -> None:
    store.file_path(sha(FILES["b"])).write_bytes(store.file_path(sha(FILES["c"])).read_bytes())
    store.manifest_path(artifact("bc")).unlink()
    found = verify(store)
    assert found.unnamed == 1
    assert [(one.digest, one.artifacts) for one in found.damage] == [(sha(FILES["b"]), (artifact("ab"),))]


def test_an_unnamed_file_is_read_too(store: ArtifactStore) -> None:
    for names in ("ab", "bc"):
        store.manifest_path(artifact(names)).unlink()
    store.file_path(sha(FILES["c"])).write_bytes(b"rot")
    (damage,) = verify(store).damage
    assert damage == Damage("file", sha(FILES["c"]), damage.problem, ())


def test_a_farm_without_a_store_has_nothing_wrong(tmp_path: Path) -> None:
    assert verify(ArtifactStore(tmp_path)).damage == []
