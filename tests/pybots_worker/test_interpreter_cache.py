from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pybots_worker.contract import MANIFEST_FILE, StoredInterpreter
from pybots_worker.interpreters import cache as subject
from pybots_worker.interpreters import file_stream
from pybots_worker.interpreters.cache import DownloadError, UnfitError, fetch_interpreter
from pybots_worker.interpreters.file_cache import IN_USE_SECONDS, FileCache
from pybots_worker.interpreters.pack import INSTALLED_FOLDER, pack_tree

SHARED = b"what all of them have"

GOOD = {
    "version": "3.15",
    "cache_tag": "cpython-315",
    "prefix": "/p",
    "modules": [],
    "missing": [],
    "checks": {"place": "ok"},
}
NO_LIBSSL = {
    "module": "_ssl",
    "package": "libssl-dev",
    "error": "ImportError: libssl.so.3",
    "required": True,
    "built": True,
}

FETCH = (
    "import sys; from pathlib import Path; from pybots_worker.contract import StoredInterpreter;"
    "from pybots_worker.interpreters.cache import fetch_interpreter;"
    "interpreter = StoredInterpreter.model_validate_json(sys.argv[1]);"
    "print(fetch_interpreter(interpreter, Path(sys.argv[2]), kept=int(sys.argv[3])), flush=True);"
    "sys.stdin.read()"
)


@dataclass
class Store:
    """Interpreters behind a real HTTP server, which counts what is asked of it."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, proof: dict[str, Any] | None = None, python: str = "") -> StoredInterpreter:
        """Store an interpreter whose `bin/python3` answers every proof like this, or is the script *python*."""
        tree, output = self.folder / f"tree-{name}", self.folder / name
        (tree / "bin").mkdir(parents=True)
        output.mkdir()
        (tree / "bin" / "shared").write_bytes(SHARED)
        script = tree / "bin" / "python3"
        script.write_text(python or f"#!/bin/sh\n# {name}\ncat <<'END'\n{json.dumps(proof or GOOD)}\nEND\n")
        script.chmod(0o755)
        artifact = pack_tree(tree, output)
        self.manifests[artifact.digest] = (output / MANIFEST_FILE).read_bytes()
        for path in (output / INSTALLED_FOLDER).iterdir():
            self.files[path.name] = zstandard.compress(path.read_bytes())
        return StoredInterpreter(digest=artifact.digest, url=self.address)

    def answer(self, asked: bytes) -> bytes:
        """The stream of the files that are asked for."""
        digests = [asked[at : at + 32].hex() for at in range(0, len(asked), 32)]
        self.asked.append(f"{len(digests)} files")
        frames = [
            file_stream.header(digest, len(self.files[digest])) + self.files[digest] for digest in digests
        ]
        return file_stream.MAGIC + b"".join(frames) + file_stream.END


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    store.folder.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            store.asked.append("manifest")
            manifest = store.manifests.get(self.path.strip("/"))
            self._send(200 if manifest else 404, manifest or b"")

        def do_POST(self) -> None:
            self._send(200, store.answer(self.rfile.read(int(self.headers["content-length"]))))

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield store
        server.shutdown()


@pytest.fixture(autouse=True)
def nothing_is_held() -> Iterator[None]:
    yield
    while subject._held:
        subject._held.popitem()[1].close()


def start(
    interpreter: StoredInterpreter, cache: Path, kept: int = 10, temporary: Path | None = None
) -> subprocess.Popen[str]:
    arguments = [interpreter.model_dump_json(), str(cache), str(kept)]
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})},
    )


def end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def files_of(cache: Path) -> list[Path]:
    folder = cache / subject.FILES_FOLDER
    return [path for path in (folder if folder.exists() else cache).glob("??/*") if path.is_file()]


def unpacked(cache: Path) -> set[str]:
    return {path.name for path in (cache / "interpreters").iterdir() if path.is_dir()}


def test_it_is_fetched_once(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a")
    place = fetch_interpreter(interpreter, tmp_path)
    assert (place.name, place.parent) == (interpreter.digest, tmp_path / "interpreters")
    assert not (place / "bin" / "python3").stat().st_mode & 0o222
    assert fetch_interpreter(interpreter, tmp_path) == place
    end(start(interpreter, tmp_path))
    assert store.asked == ["manifest", "2 files"]


def test_only_what_is_lacking_is_fetched(store: Store, tmp_path: Path) -> None:
    fetch_interpreter(store.add("a"), tmp_path)
    place = fetch_interpreter(store.add("b"), tmp_path)
    assert store.asked == ["manifest", "2 files", "manifest", "1 files"]
    assert (place / "bin" / "shared").read_bytes() == SHARED


def test_what_one_interpreter_has_nobody_can_change_for_another(store: Store, tmp_path: Path) -> None:
    """Root can write into what is read-only: even so, the next interpreter is laid out from what is right."""
    place = fetch_interpreter(store.add("a"), tmp_path)
    shared = place / "bin" / "shared"
    shared.chmod(0o644)
    shared.write_bytes(b"changed")
    assert (fetch_interpreter(store.add("b"), tmp_path) / "bin" / "shared").read_bytes() == SHARED


@pytest.mark.parametrize(
    "broken", [b"", b"junk", zstandard.compress(b"another file"), zstandard.compress(SHARED)[:-2]]
)
def test_a_broken_file_in_the_cache_is_noticed_and_fetched_anew(
    store: Store, tmp_path: Path, broken: bytes
) -> None:
    fetch_interpreter(store.add("a"), tmp_path)
    (kept,) = (path for path in files_of(tmp_path) if path.read_bytes() == zstandard.compress(SHARED))
    kept.write_bytes(broken)
    place = fetch_interpreter(store.add("b"), tmp_path)
    assert (place / "bin" / "shared").read_bytes() == SHARED
    assert store.asked == ["manifest", "2 files", "manifest", "1 files", "1 files"]


def test_a_store_that_answers_with_another_file_is_refused(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a")
    for digest in store.files:
        store.files[digest] = zstandard.compress(b"another file")
    with pytest.raises(DownloadError, match="was rejected: what came as the file"):
        fetch_interpreter(interpreter, tmp_path)
    assert unpacked(tmp_path) == set()
    assert files_of(tmp_path) == []


def test_the_files_that_were_not_used_for_longest_go_but_none_that_may_be_in_use(tmp_path: Path) -> None:
    files, now = FileCache(tmp_path), time.time()
    for number in range(10):
        path = files.path(f"{number:064x}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (now - 10_000 - number, now - 10_000 - number))
    left_by_a_killed_one = path.with_name(".arriving-1")
    left_by_a_killed_one.touch()
    os.utime(left_by_a_killed_one, (1, 1))
    assert files.lacking([f"{9:064x}", "f" * 64]) == ["f" * 64]
    files.remove_oldest(450, now)
    assert sorted(int(path.name, 16) for path in files_of(tmp_path)) == [0, 1, 2, 9]
    files.remove_oldest(0, now)
    assert [int(path.name, 16) for path in files_of(tmp_path)] == [9]
    files.remove_oldest(0, now + IN_USE_SECONDS + 10)
    assert files_of(tmp_path) == []


def test_processes_at_the_same_time_share_one(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a")
    processes = [start(interpreter, tmp_path) for _ in range(3)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline().strip() == str(tmp_path / "interpreters" / interpreter.digest)
    for process in processes:
        end(process)
    assert store.asked == ["manifest", "2 files"]
    assert {path.name for path in (tmp_path / "interpreters").iterdir()} == {
        interpreter.digest,
        f"{interpreter.digest}.lock",
        f"{interpreter.digest}.proven",
    }


def test_the_least_recently_used_goes_unless_somebody_uses_it(store: Store, tmp_path: Path) -> None:
    a, b, c, d = (store.add(name) for name in "abcd")
    user = start(a, tmp_path)
    assert user.stdout
    user.stdout.readline()
    for other in (b, c):
        end(start(other, tmp_path, kept=2))
    assert unpacked(tmp_path) == {a.digest, b.digest, c.digest}
    end(start(b, tmp_path, kept=2))
    end(user)
    end(start(d, tmp_path, kept=2))
    assert unpacked(tmp_path) == {b.digest, d.digest}
    end(start(a, tmp_path, kept=2))
    assert unpacked(tmp_path) == {a.digest, d.digest}


def test_a_machine_that_cannot_run_it_says_why(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a", GOOD | {"missing": [NO_LIBSSL]})
    for _ in range(2):
        with pytest.raises(UnfitError, match=r"_ssl does not import: ImportError: libssl\.so\.3.*libssl-dev"):
            fetch_interpreter(interpreter, tmp_path)
    assert len(store.asked) == 2, "it is proven again, but not fetched again"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": "0" * 64}, "404"),
        ({"url": "http://127.0.0.1:1/a"}, "cannot be fetched: ConnectError"),
        ({"url": "ftp://127.0.0.1/a"}, "cannot be fetched: UnsupportedProtocol"),
        ({"url": "http://host:port/"}, "cannot be fetched: InvalidURL"),
    ],
)
def test_what_is_not_the_artifact_is_refused(
    store: Store, tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    interpreter = store.add("a").model_copy(update=changes)
    with pytest.raises(DownloadError, match=reason):
        fetch_interpreter(interpreter, tmp_path)
    assert unpacked(tmp_path) == set()


def test_what_a_killed_process_left_is_removed(store: Store, tmp_path: Path) -> None:
    """Of this interpreter, and of one that nobody asks for again; but not what somebody is preparing."""
    interpreter, busy = store.add("a"), tmp_path / "interpreters" / ("b" * 64)
    for digest in (interpreter.digest, busy.name, "c" * 64):
        (tmp_path / "interpreters" / f"{digest}.preparing" / ".unpacking-1" / "bin").mkdir(parents=True)
    with subject._lock_path(busy).open("a") as lock, subject._alone(lock, busy):
        fetch_interpreter(interpreter, tmp_path)
    assert {path.name for path in (tmp_path / "interpreters").iterdir() if path.is_dir()} == {
        interpreter.digest,
        f"{busy.name}.preparing",
    }


def test_a_killed_fetch_leaves_what_the_next_one_finds(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("slow", python="#!/bin/sh\ntouch started\nsleep 600\n")
    scratch, cache = tmp_path / "scratch", tmp_path / "cache"
    scratch.mkdir()
    process = start(interpreter, cache, temporary=scratch)
    proof = cache / "interpreters" / f"{interpreter.digest}.preparing" / "proof" / "work" / "started"
    deadline = time.monotonic() + 60
    while not proof.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert list(scratch.iterdir()) == []
    fetch_interpreter(store.add("b"), cache)
    assert not list((cache / "interpreters").glob("*.preparing"))


def test_a_manifest_of_another_interpreter_is_refused(store: Store, tmp_path: Path) -> None:
    a, b = store.add("a"), store.add("b")
    store.manifests[a.digest] = store.manifests[b.digest]
    with pytest.raises(DownloadError, match="was rejected: the manifest's digest is"):
        fetch_interpreter(a, tmp_path)


def test_more_than_we_take(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.interpreters.download.MAXIMUM_MANIFEST_BYTES", 100)
    with pytest.raises(DownloadError, match="more than 100 bytes"):
        fetch_interpreter(store.add("a"), tmp_path)
