from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.contract import StoredInterpreter
from pybots_worker.interpreters import cache as subject
from pybots_worker.interpreters.cache import DownloadError, UnfitError, fetch_interpreter
from pybots_worker.interpreters.pack import pack_tree

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
    """Archives behind a real HTTP server, which counts what is asked of it."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def add(self, name: str, proof: dict[str, Any] | None = None) -> StoredInterpreter:
        """Store an interpreter whose `bin/python3` answers every proof like this."""
        tree, output = self.folder.parent / f"tree-{name}", self.folder / name
        (tree / "bin").mkdir(parents=True)
        output.mkdir(parents=True)
        python = tree / "bin" / "python3"
        python.write_text(f"#!/bin/sh\n# {name}\ncat <<'END'\n{json.dumps(proof or GOOD)}\nEND\n")
        python.chmod(0o755)
        artifact = pack_tree(tree, output)
        url = f"{self.address}/{name}/{artifact.archive}"
        return StoredInterpreter(digest=artifact.digest, url=url, archive_sha256=artifact.archive_sha256)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    store.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(store.folder))

        def log_message(self, *arguments: Any) -> None:
            store.asked.append(self.path)

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


def unpacked(cache: Path) -> set[str]:
    return {path.name for path in (cache / "interpreters").iterdir() if path.is_dir()}


def test_it_is_fetched_once(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a")
    place = fetch_interpreter(interpreter, tmp_path)
    assert (place.name, place.parent) == (interpreter.digest, tmp_path / "interpreters")
    assert not (place / "bin" / "python3").stat().st_mode & 0o222
    assert fetch_interpreter(interpreter, tmp_path) == place
    end(start(interpreter, tmp_path))
    assert len(store.asked) == 1


def test_processes_at_the_same_time_share_one(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a")
    processes = [start(interpreter, tmp_path) for _ in range(3)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline().strip() == str(tmp_path / "interpreters" / interpreter.digest)
    for process in processes:
        end(process)
    assert len(store.asked) == 1
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
    assert len(store.asked) == 1, "it is proven again, but not fetched again"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"archive_sha256": "0" * 64}, "has sha256"),
        ({"digest": "0" * 64}, "was rejected: the manifest's digest is"),
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
    store.add("a")
    python = store.folder.parent / "tree-a" / "bin" / "python3"
    python.write_text(f"#!/bin/sh\ntouch started\nsleep 600\n# {python}")
    output = store.folder / "slow"
    output.mkdir()
    artifact = pack_tree(python.parent.parent, output)
    interpreter = StoredInterpreter(
        digest=artifact.digest,
        url=f"{store.address}/slow/{artifact.archive}",
        archive_sha256=artifact.archive_sha256,
    )
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


def test_a_page_that_is_not_there(store: Store, tmp_path: Path) -> None:
    interpreter = store.add("a").model_copy(update={"url": f"{store.address}/nothing"})
    with pytest.raises(DownloadError, match="404"):
        fetch_interpreter(interpreter, tmp_path)


def test_more_than_we_take(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MAXIMUM_ARCHIVE_BYTES", 100)
    with pytest.raises(DownloadError, match="more than 100 bytes"):
        fetch_interpreter(store.add("a"), tmp_path)
