"""What is counted of a stranger's folders, and of the files that his processes hold without a name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.sandbox.disk import Taken, taken_below
from pybots_worker.sandbox.held import unlinked_on_disk

LARGE = 5_000_000
NOBODY = 65534


def taken(folder: Path, **options: bool) -> Taken:
    return taken_below([str(folder)], enough=10**12, **options)


def deep(folder: Path, levels: int, name: str = "d" * 200, size: int = LARGE) -> None:
    """Write a file below so many folders, whatever its path's length."""
    folder.mkdir()
    above = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=above)
        below = os.open(name, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    file = os.open("large", os.O_WRONLY | os.O_CREAT, dir_fd=above)
    os.write(file, bytes(size))
    os.close(file)
    os.close(above)


@pytest.fixture
def somebody() -> Iterator[Path]:
    """A folder of ours, while we are not root, who may read everything."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        remove_tree(folder)


def test_files_folders_and_links_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "large").write_bytes(bytes(LARGE))
    before = taken(tmp_path).total
    (tmp_path / "again").hardlink_to(tmp_path / "folder" / "large")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "out").symlink_to("/usr")
    assert LARGE < before <= taken(tmp_path).total < LARGE + 100_000
    assert taken_below([str(tmp_path), str(tmp_path / "folder")], enough=10**12).total < 2 * LARGE


def test_paths_that_are_too_long_for_the_kernel(tmp_path: Path) -> None:
    deep(tmp_path / "top", 3000)
    found = taken(tmp_path / "top")
    assert (found.total > LARGE, found.hidden) == (True, False)
    remove_tree(tmp_path / "top")
    assert list(tmp_path.iterdir()) == []


def test_more_open_levels_than_we_open_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    above = tmp_path
    for _ in range(8):
        for number in range(20):
            (above / str(number)).mkdir()
        (above / "below").mkdir()
        above /= "below"
    assert not taken(tmp_path).hidden
    monkeypatch.setattr("pybots_worker.sandbox.disk.MOST_OPEN", 2)
    before = len([*Path("/proc/self/fd").iterdir()])
    assert taken(tmp_path).hidden
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_nothing_is_looked_at_beyond_what_is_enough(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / str(number)).write_bytes(b"x")
    assert 10_000 < taken_below([str(tmp_path)], enough=10_000).total < 30_000


@pytest.mark.parametrize("mode", [0o300, 0o000, 0o600])
def test_folder_that_forbids_to_be_read_is_hidden_until_its_writer_is_dead(somebody: Path, mode: int) -> None:
    (somebody / "outer").mkdir()
    deep(somebody / "outer" / "in", 2)
    (somebody / "outer").chmod(mode)
    found = taken(somebody)
    assert (found.total > LARGE, found.hidden) == (False, True)
    found = taken(somebody, dead=True)
    assert (found.total > LARGE, found.hidden) == (True, False)


@pytest.mark.parametrize("name", ["d", "d" * 200])
def test_deep_and_forbidden_folders_are_removed(somebody: Path, name: str) -> None:
    """1500 levels are more than Python recurses; paths of 300 000 characters are more than the kernel takes."""
    deep(somebody / "top", 1500, name)
    (somebody / "top" / name / name).chmod(0)
    remove_tree(somebody / "top")
    assert list(somebody.iterdir()) == []


HOLD = """
import mmap, os, socket, sys, threading, ctypes
name = sys.argv[1]
file = open(name, "w+b"); file.write(bytes(5_000_000)); file.flush(); os.unlink(name)
"""
HELD = {
    "open": HOLD,
    "open in a thread that has its own": HOLD.replace("file =", "def run():\n  pass\nfile =")
    + "fd = os.dup(file.fileno()); ready = threading.Event()\n"
    "def run():\n  ctypes.CDLL(None).unshare(0x400); ready.set(); threading.Event().wait()\n"
    "threading.Thread(target=run, daemon=True).start(); ready.wait(); os.close(fd); file.close()\n",
    "mapped": HOLD + "kept = mmap.mmap(file.fileno(), 0); file.close()\n",
    "sent to itself": HOLD
    + "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [file.fileno()]); file.close()\n",
}


@contextmanager
def holding(code: str, path: Path) -> Iterator[int]:
    code += "print(flush=True); sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid


@pytest.mark.parametrize("how", HELD)
def test_file_without_a_name_is_counted_or_known_to_be_hidden(tmp_path: Path, how: str) -> None:
    with holding(HELD[how], tmp_path / "file") as pid:
        found = unlinked_on_disk([pid])
    assert found.total >= LARGE or found.hidden, found
    if how.startswith("open"):
        assert found == Taken(found.total, hidden=False)


def test_what_is_only_in_memory_is_not_on_the_disk(tmp_path: Path) -> None:
    code = "import mmap, os, sys; f = os.memfd_create('x'); os.write(f, bytes(5_000_000)); m = mmap.mmap(-1, 9999)\n"
    code += "s = open('/dev/shm/pybots-' + str(os.getpid()), 'wb'); os.unlink(s.name); s.write(bytes(5_000_000))\n"
    with holding(code, tmp_path) as pid:
        assert unlinked_on_disk([pid]) == Taken(0)
    assert unlinked_on_disk([pid]) == Taken(0)


def test_program_that_forbids_to_be_looked_at_hides_something(somebody: Path) -> None:
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("needs a Python that every account may run")
    with subprocess.Popen(
        [python, "-c", code + "print(flush=True); sys.stdin.read()\n"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert unlinked_on_disk([process.pid]).hidden
        process.stdin.close()  # type: ignore[union-attr]
