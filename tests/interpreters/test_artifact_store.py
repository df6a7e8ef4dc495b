"""The store against a real folder: what is taken in is verified, whole, and there once; a kill leaves nothing half."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
import zstandard

from pybots.interpreters.artifact_store import ArtifactRejected, ArtifactStore, FilesMissing, read_upload
from pybots.interpreters.read_old_archives import take_apart
from pybots_worker.interpreters.file_stream import END, MAGIC, decompress, header
from pybots_worker.interpreters.manifest import FileEntry, Manifest
from store_files import manifest_of, pack_of, sha

HELLO = b"hello\n" * 100


def content_of(store: ArtifactStore, digest: str, size: int) -> bytes:
    found = io.BytesIO()
    with store.file_path(digest).open("rb") as stream:
        decompress(stream, digest, size, found.write)
    return found.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def test_an_artifact_is_there_once_all_of_its_files_are(store: ArtifactStore) -> None:
    manifest = manifest_of({"a": HELLO, "b": HELLO, "c": b"c"})
    assert sorted(store.lacking(manifest)) == sorted([sha(HELLO), sha(b"c")])
    added = store.take_in_files(pack_of(HELLO), manifest)
    assert added == sum(file.size for file in store.files())
    with pytest.raises(FilesMissing, match="1 of its files"):
        store.keep(manifest)
    assert not store.holds(manifest.digest())
    store.take_in_files(pack_of(b"c"), manifest)
    store.keep(manifest)
    assert store.holds(manifest.digest())
    assert store.read_manifest(manifest.digest()) == manifest
    assert content_of(store, sha(HELLO), len(HELLO)) == HELLO
    assert set(store.manifests()) == {manifest.digest()}


def test_another_commit_adds_what_differs(store: ArtifactStore) -> None:
    first = manifest_of({"a": HELLO, "b": b"b"})
    store.take_in_files(pack_of(HELLO, b"b"), first)
    store.keep(first)
    second = manifest_of({"a": HELLO, "b": b"B"})
    assert store.lacking(second) == [sha(b"B")]
    assert store.take_in_files(pack_of(b"B"), second) == store.file_path(sha(b"B")).stat().st_size
    store.keep(second)
    assert store.lacking(second) == store.lacking(first) == []


def test_what_a_worker_compressed_is_not_kept_as_it_came(store: ArtifactStore) -> None:
    """A frame can hold what decompressing never shows."""
    manifest = manifest_of({"a": HELLO})
    hidden = b"\x50\x2a\x4d\x18" + (16).to_bytes(4, "little") + b"s" * 16
    frame = zstandard.compress(HELLO) + hidden
    store.take_in_files(io.BytesIO(MAGIC + header(sha(HELLO), len(frame)) + frame + END), manifest)
    assert b"s" * 16 not in store.file_path(sha(HELLO)).read_bytes()


@pytest.mark.parametrize(
    "stream",
    [
        pack_of(HELLO, b"not named"),
        io.BytesIO(pack_of(HELLO, b"b").getvalue()[:-1]),
        io.BytesIO(pack_of(HELLO).getvalue().replace(END, header(sha(b"b"), 3) + b"abc" + END)),
    ],
    ids=["a file too many", "cut off", "a broken file"],
)
def test_of_a_hostile_pack_nothing_stays(store: ArtifactStore, stream: io.BytesIO) -> None:
    with pytest.raises(ArtifactRejected):
        store.take_in_files(stream, manifest_of({"a": HELLO, "b": b"b"}))
    assert list(store.files()) == []
    assert list(store.arriving.iterdir()) == []


def test_a_manifest_cannot_lie_about_a_file_that_is_here(store: ArtifactStore) -> None:
    honest = manifest_of({"a": HELLO})
    store.take_in_files(pack_of(HELLO), honest)
    entry = FileEntry(path="a", size=3, sha256=sha(HELLO))
    with pytest.raises(ArtifactRejected, match="has 3 bytes; it has 600"):
        store.lacking(Manifest(entries=[entry]))


def test_an_uploaded_manifest_is_verified(tmp_path: Path) -> None:
    manifest = manifest_of({"a": HELLO})
    (tmp_path / "m").write_bytes(manifest.compressed())
    assert read_upload(tmp_path / "m", manifest.digest()) == manifest
    with pytest.raises(ArtifactRejected, match="digest is"):
        read_upload(tmp_path / "m", "0" * 64)


def test_two_uploads_at_once_are_both_whole(store: ArtifactStore) -> None:
    shared = [os.urandom(200) for _ in range(30)]
    wrong: list[Exception] = []

    def upload(own: bytes) -> None:
        try:
            files = {str(number): content for number, content in enumerate([*shared, own])}
            manifest = manifest_of(files)
            store.take_in_files(pack_of(*files.values()), manifest)
            store.keep(manifest)
        except Exception as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=upload, args=(bytes([number]),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(store.manifests()) == 4
    assert len(list(store.files())) == 34
    for digest in store.manifests():
        for name, size in store.read_manifest(digest).sizes().items():
            content_of(store, name, size)


TAKE_IN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_files import manifest_of, pack_of
from pybots.interpreters.artifact_store import ArtifactStore
store = ArtifactStore(Path(sys.argv[1]))
number = int(sys.argv[3])
while True:
    files = {str(i): (b"%d %d " % (number, i)) * 50 for i in range(20)}
    manifest = manifest_of(files)
    store.take_in_files(pack_of(*files.values()), manifest)
    store.keep(manifest)
    if number == int(sys.argv[3]):
        print("begun", flush=True)
    number += 1
"""


def test_killed_at_any_instant_the_store_is_whole(store: ArtifactStore) -> None:
    for attempt in range(8):
        arguments = [str(store.folder), str(Path(__file__).parents[1]), str(attempt * 1_000_000)]
        process = subprocess.Popen([sys.executable, "-c", TAKE_IN, *arguments], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(0.0137 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        for digest in store.manifests():
            for name, size in store.read_manifest(digest).sizes().items():
                content_of(store, name, size)
        store.empty_arriving()
    assert len(store.manifests()) >= 8


def test_what_was_asked_after_lately_is_not_removed(store: ArtifactStore) -> None:
    manifest = manifest_of({"a": HELLO, "b": b"b"})
    store.take_in_files(pack_of(HELLO, b"b"), manifest)
    store.keep(manifest)
    long_ago = time.time() - 10_000
    for path in (*store.folder.glob("files/*/*"), store.manifest_path(manifest.digest())):
        os.utime(path, (long_ago, long_ago))
    store.lacking(manifest_of({"a": HELLO}))
    assert store.remove_manifest(manifest.digest(), long_ago - 1) is False
    assert store.remove_manifest(manifest.digest(), time.time() - 5000) is True
    assert store.remove_files([sha(HELLO), sha(b"b"), "0" * 64], time.time() - 5000) == 1
    assert [file.digest for file in store.files()] == [sha(HELLO)]


def test_old_archives_are_taken_apart_once(store: ArtifactStore) -> None:
    good, broken = manifest_of({"a": HELLO, "b": b"b", "c": HELLO}), manifest_of({"a": b"broken"})
    store.folder.mkdir()
    write_archive(store.folder, good, {"a": HELLO, "b": b"b", "c": HELLO})
    write_archive(store.folder, broken, {"a": b"bromen"})
    (store.folder / f"{'0' * 64}.tar.zst").write_bytes(b"junk")
    assert len(take_apart(store)) == 3
    assert set(store.manifests()) == {good.digest()}
    assert content_of(store, sha(HELLO), len(HELLO)) == HELLO
    assert sorted(path.name for path in store.folder.iterdir()) == ["arriving", "files", "manifests"]
    assert take_apart(store) == []


def write_archive(folder: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Write an archive as the first Pybots stored it."""
    plain = io.BytesIO()
    members = {
        "manifest.json": manifest.canonical(),
        **{f"tree/{name}": data for name, data in files.items()},
    }
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (folder / f"{manifest.digest()}.tar.zst").write_bytes(zstandard.compress(plain.getvalue()))
