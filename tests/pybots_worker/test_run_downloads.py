"""The two stores of a worker: downloads, shared by all, and wheels, by the interpreter that built them."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pybots_worker.contract import Ending
from pybots_worker.runs.built import BuiltWheels, built_wheels
from pybots_worker.runs.downloads import Downloads
from pybots_worker.runs.locked import File, LockError
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.plain import read_plain


def file_at(folder: Path, name: str, content: bytes) -> File:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return File(name, hashlib.sha256(content).hexdigest(), (folder / name).as_uri())


@pytest.fixture
def store(tmp_path: Path) -> Downloads:
    (tmp_path / "out").mkdir()
    return Downloads(tmp_path / "store", seconds=10)


def test_file_is_fetched_once_and_copied(store: Downloads, tmp_path: Path) -> None:
    file = file_at(tmp_path / "web", "a.whl", b"content")
    assert store.take(file, tmp_path / "out").read_bytes() == b"content"
    (tmp_path / "web" / "a.whl").unlink()
    assert store.take(File("a.whl", file.sha256), tmp_path / "out").read_bytes() == b"content"
    assert (tmp_path / "out" / "a.whl").stat().st_nlink == 1


def test_spoilt_file_is_fetched_again(store: Downloads, tmp_path: Path) -> None:
    file = file_at(tmp_path / "web", "a.whl", b"content")
    store.take(file, tmp_path / "out")
    kept = tmp_path / "store" / file.sha256 / "a.whl"
    kept.chmod(0o644)
    kept.write_bytes(b"spoilt!")
    assert store.take(file, tmp_path / "out").read_bytes() == b"content"
    assert kept.read_bytes() == b"content"


def test_other_content_is_not_kept(store: Downloads, tmp_path: Path) -> None:
    file = file_at(tmp_path / "web", "a.whl", b"content")
    (tmp_path / "web" / "a.whl").write_bytes(b"another")
    with pytest.raises(RunEndedError) as caught:
        store.fetch([file])
    assert caught.value.ending is Ending.FETCH_FAILED
    assert list((tmp_path / "store").iterdir()) == []


def test_same_content_under_two_names(store: Downloads, tmp_path: Path) -> None:
    for name in ("a.whl", "b.whl"):
        assert store.take(file_at(tmp_path / "web", name, b"same"), tmp_path / "out").read_bytes() == b"same"


def test_store_is_bounded_and_what_was_used_last_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    store = Downloads(tmp_path / "store", seconds=10, maximum_bytes=250)
    files = [file_at(tmp_path / "web", f"{name}.whl", name.encode() * 100) for name in "abc"]
    for number, file in enumerate(files[:2]):
        store.take(file, tmp_path / "out")
        os.utime(tmp_path / "store" / file.sha256, (number, number))
    store.take(files[2], tmp_path / "out")
    assert [store.has(file) for file in files] == [False, True, True]
    left = tmp_path / "store" / ".part-left"
    left.mkdir()
    os.utime(left, (0, 0))
    store.take(file_at(tmp_path / "web", "d.whl", b"d"), tmp_path / "out")
    assert not left.exists()


def test_several_at_once_never_see_half_a_file(store: Downloads, tmp_path: Path) -> None:
    file = file_at(tmp_path / "web", "a.whl", os.urandom(3_000_000))
    folders = [tmp_path / f"out{number}" for number in range(4)]
    with ThreadPoolExecutor() as pool:
        for folder in folders:
            folder.mkdir()
        list(pool.map(lambda folder: [store.take(file, folder) for _ in range(5)], folders))
    assert {hashlib.sha256((folder / "a.whl").read_bytes()).hexdigest() for folder in folders} == {
        file.sha256
    }
    assert [path.name for path in (tmp_path / "store").iterdir()] == [file.sha256]


def keep(built: BuiltWheels, folder: Path, key: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{key}-1.0-py3-none-any.whl").write_bytes(content)
    built.keep(key, folder, f"{key}-1.0-py3-none-any.whl")


def test_built_wheel_is_kept_and_spoilt_it_is_none(tmp_path: Path) -> None:
    with built_wheels(tmp_path, "digest", seconds=5) as built:
        assert built.take("aa", tmp_path) is None
        keep(built, tmp_path / "made", "aa", b"wheel")
        found = built.take("aa", tmp_path)
        assert found
        assert (tmp_path / found.name).read_bytes() == b"wheel"
        (built.folder / "aa" / found.name).write_bytes(b"spoilt")
        assert built.take("aa", tmp_path) is None
        (built.folder / "aa" / "wheel.json").write_text(json.dumps({"name": ["?"]}))
        assert built.take("aa", tmp_path) is None
        link = tmp_path / "made" / "bb-1.0-py3-none-any.whl"
        link.symlink_to("/etc/passwd")
        with pytest.raises(OSError, match="bb"):
            built.keep("bb", tmp_path / "made", link.name)


def test_built_wheels_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.runs.built.MAXIMUM_BYTES", 1500)
    with built_wheels(tmp_path, "digest", seconds=5) as built:
        for number, key in enumerate(("aa", "bb", "cc")):
            keep(built, tmp_path / "made", key, b"x" * 600)
            os.utime(built.folder / key, (number, number))
        assert [built.take(key, tmp_path) is not None for key in ("aa", "bb", "cc")] == [False, True, True]


def test_one_at_a_time_builds(tmp_path: Path) -> None:
    with (
        built_wheels(tmp_path, "digest", seconds=0.3) as built,
        built.alone("aa"),
        built.alone("bb"),
        pytest.raises(RunEndedError) as caught,
        built.alone("aa"),
    ):
        pass
    assert caught.value.ending is Ending.UNFIT


def test_only_the_wheels_used_last_are_kept_and_none_in_use_is_removed(tmp_path: Path) -> None:
    for number, name in enumerate("abcd"):
        with built_wheels(tmp_path, name, seconds=5, kept=9) as built:
            (built.folder / "wheel").write_text(name)
        os.utime(tmp_path / "built" / f"{name}.lock", (number, number))
    with built_wheels(tmp_path, "b", seconds=5, kept=9):
        os.utime(tmp_path / "built" / "b.lock", (0, 0))
        with built_wheels(tmp_path, "new", seconds=5, kept=2) as new:
            assert new.folder.is_dir()
        left = {path.name for path in (tmp_path / "built").iterdir() if path.is_dir()}
    assert left == {"b", "d", "new"}


def test_plain_files_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "beside").symlink_to(tmp_path)
    assert read_plain(tmp_path, "file", 5) == b"12345"
    for folder, name, most in (
        (tmp_path, "link", 9),
        (tmp_path, "folder", 9),
        (tmp_path, "pipe", 9),
        (tmp_path, "file", 4),
    ):
        with pytest.raises(OSError):  # noqa: PT011
            read_plain(folder, name, most)
    with pytest.raises(OSError):  # noqa: PT011
        read_plain(tmp_path / "beside", "file", 9)


@pytest.mark.parametrize(
    ("name", "sha256"),
    [("../../.bashrc", "0" * 64), ("/etc/passwd", "0" * 64), ("a.whl", "../" * 21 + "a"), ("..", "0" * 64)],
)
def test_a_file_that_would_be_another_path_is_none(tmp_path: Path, name: str, sha256: str) -> None:
    with pytest.raises(LockError):
        Downloads(tmp_path, seconds=1).fetch([File(name, sha256, "https://example.org/a")])


def test_project_code_cannot_have_a_file_of_this_machine_taken(tmp_path: Path) -> None:
    links, secret = tmp_path / "links", tmp_path / "secret"
    links.mkdir()
    for path in (links / "a.whl", secret):
        path.write_text("content")
    (links / "link.whl").symlink_to(secret)
    digest = hashlib.sha256(b"content").hexdigest()
    store = Downloads(tmp_path / "store", seconds=10, local=[links])
    (tmp_path / "out").mkdir()
    assert store.take(File("a.whl", digest, (links / "a.whl").as_uri()), tmp_path / "out").is_file()
    other = Downloads(tmp_path / "other", seconds=10, local=[links])
    for address in (secret.as_uri(), str(secret), (links / "link.whl").as_uri()):
        with pytest.raises(RunEndedError, match="do not come from"):
            other.take(File("b.whl", digest, address), tmp_path / "out")
