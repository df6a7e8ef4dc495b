"""Archives that are made to hurt whoever unpacks them: in the sandbox, and named in the run's status."""

from __future__ import annotations

import gzip
import io
import resource
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Ending, Limits
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.lock import make_lock
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.scratch import remove_scratch
from pybots_worker.runs.unpack import unpack_source
from pybots_worker.sandbox.machine import Grants, grants, shown_folders
from pybots_worker.sandbox.words import Lack
from tiny_projects import Bench, sha256, write_project, write_sdist

LONG = 300_000_000


def unpacked(bench: Bench, archive: Path, **limits: Any) -> Place:
    folder = bench.folder / "run"
    folder.mkdir()
    specification = bench.specification(limits=Limits(**{"prepare_seconds": 60, **limits}))
    shown = tuple(shown_folders([Path(sys.prefix), Path(sys.base_prefix)]))
    place = Place(specification, folder, bench.folder / "cache", BoundedLog(100_000, 100_000), shown)
    place.prepare()
    try:
        unpack_source(place, archive)
    finally:
        remove_scratch(folder)
    return place


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def with_header(path: Path, kind: bytes, size: int = LONG) -> Path:
    """An archive that begins with a header of so many bytes: a few hundred kilobytes of gzip."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = kind, size
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        zeros = bytes(1_000_000)
        for _ in range(size // len(zeros)):
            file.write(zeros)
    return path


def holding(path: Path, size: int, files: int = 1) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for number in range(files):
            member = tarfile.TarInfo(f"source/{number}")
            member.size = size
            packed.addfile(member, io.BytesIO(bytes(size)))
    return path


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize(
    ("memory", "ending", "said"),
    [
        (4_000_000_000, Ending.FETCH_FAILED, "more than 200000000 bytes of memory"),
        (80_000_000, Ending.MEMORY_LIMIT, "unpacking the source's archive: it used more memory than 80 MB"),
    ],
)
def test_header_of_gigabytes_is_read_by_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: bytes, memory: int, ending: Ending, said: str
) -> None:
    """Either its own reader finds that it has no memory for that, or the limits of the recipe end it."""
    most = 200_000_000 if ending is Ending.FETCH_FAILED else 10 * LONG
    monkeypatch.setattr("pybots_worker.runs.unpack.MAXIMUM_MEMORY", most)
    archive = with_header(bench.folder / "x.tar.gz", kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunEndedError) as caught:
        unpacked(bench, archive, memory_bytes=memory)
    assert (caught.value.ending, said in caught.value.detail) == (ending, True), caught.value.detail
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_archive_that_fills_the_disk_is_stopped(bench: Bench) -> None:
    archive = holding(bench.folder / "x.tar.gz", 40_000_000, files=3)
    with pytest.raises(RunEndedError) as caught:
        unpacked(bench, archive, disk_bytes=60_000_000)
    assert caught.value.ending is Ending.DISK_LIMIT
    assert caught.value.detail == "unpacking the source's archive: it wrote more than 60 MB to the disk"


def test_archive_without_end_has_only_so_long(bench: Bench) -> None:
    archive = holding(bench.folder / "x.tar.gz", 300_000_000)
    with pytest.raises(RunEndedError) as caught:
        unpacked(bench, archive, prepare_seconds=0.2)
    assert (caught.value.ending, "took longer than 0.2 s" in caught.value.detail) == (
        Ending.FETCH_FAILED,
        True,
    )


def test_nothing_is_left_of_unpacking_but_the_source(bench: Bench) -> None:
    place = unpacked(bench, holding(bench.folder / "x.tar.gz", 10))
    assert (place.source / "0").read_bytes() == bytes(10)
    assert not (place.work / "unpacked").exists()


def test_without_a_sandbox_the_archives_own_bounds_hold(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Grants(None, grants().system, Lack("bubblewrap is missing"))
    monkeypatch.setattr("pybots_worker.runs.place.grants", lambda: lacking)
    monkeypatch.setattr("pybots_worker.runs.unpack.MAXIMUM_MEMORY", 200_000_000)
    with pytest.raises(RunEndedError, match="more than 200000000 bytes of memory"):
        unpacked(bench, with_header(bench.folder / "x.tar.gz", tarfile.XHDTYPE))
    remove_tree(bench.folder / "run")
    assert unpacked(bench, holding(bench.folder / "y.tar.gz", 10)).source.is_dir()


def test_dependencys_archive_is_the_environments(bench: Bench) -> None:
    """The sdist of a dependency is unpacked to be built: the same, under its name."""
    path = write_sdist(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",))
    lock = bench.run()[0].lock
    assert lock
    digest = sha256(path)
    spoilt = lock.requirements.replace(digest, sha256(with_header(path, tarfile.XHDTYPE, 2_000_000)))
    result, _ = bench.run(lock=make_lock(spoilt, lock.build_constraints))
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert "dep==1.0: the source's archive is broken" in result.detail
