from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pybots_worker.interpreters import source as subject
from pybots_worker.interpreters.phases import Commands
from pybots_worker.interpreters.source import MissingCommitError, UnreachableError, bring_commit
from pybots_worker.interpreters.toolchain import build_environment
from pybots_worker.processes import BoundedLog


def git(path: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=path, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def commit(path: Path, text: str) -> str:
    (path / "file").write_text(text)
    git(path, "add", "file")
    git(path, "commit", "--quiet", "-m", text)
    return git(path, "rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    path = tmp_path / "upstream"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    return path


def commands(seconds: float = 60) -> Commands:
    environment = build_environment(os.environ)
    return Commands("fetch", environment, BoundedLog(100_000, 100_000), time.monotonic() + seconds)


@pytest.fixture
def failing_server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/cpython.git"
        server.shutdown()


@pytest.fixture
def silent_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}/cpython.git"


def test_a_server_that_refuses_or_fails_is_nobodys_fault(
    upstream: Path, tmp_path: Path, failing_server: str, silent_server: str
) -> None:
    here = tmp_path / "source"
    first, second = commit(upstream, "one"), commit(upstream, "two")
    assert bring_commit(commands(), here, str(upstream), first)
    for address, said in {
        "http://127.0.0.1:1/cpython.git": "unable to access",
        failing_server: "503",
        "/nowhere/at/all": "Could not read|and the repository exists",
        "ext::sh -c true": "not allowed",
    }.items():
        with pytest.raises(UnreachableError, match=said):
            bring_commit(commands(), here, address, second)
    with pytest.raises(UnreachableError):
        bring_commit(commands(2), here, silent_server, second)
    assert (here / "file").read_text() == "one", "what is there stays"
    assert not bring_commit(commands(), here, str(upstream), second)
    assert (here / "file").read_text() == "two"


def test_a_commit_that_the_server_does_not_have(upstream: Path, tmp_path: Path) -> None:
    here = tmp_path / "source"
    first = commit(upstream, "one")
    for _ in range(2):
        with pytest.raises(MissingCommitError, match="has no commit 0000"):
            bring_commit(commands(), here, str(upstream), "0" * 40)
        bring_commit(commands(), here, str(upstream), first)


@pytest.mark.parametrize(
    "lock",
    ["index.lock", "config.lock", "packed-refs.lock", "shallow.lock", "HEAD.lock", "refs/pybots/commit.lock"],
)
def test_what_a_killed_git_left_locked(upstream: Path, tmp_path: Path, lock: str) -> None:
    here = tmp_path / "source"
    bring_commit(commands(), here, str(upstream), commit(upstream, "one"))
    (here / ".git" / lock).touch()
    ours = commands()
    assert not bring_commit(ours, here, str(upstream), commit(upstream, "two")), "the tree is kept"
    assert "fetching all branches" not in ours.log.tail_text(100)
    assert (here / "file").read_text() == "two"


def test_files_from_the_future_are_brought_back(tmp_path: Path) -> None:
    now = time.time()
    (tmp_path / ".git").mkdir()
    for name, date in {"old": now - 100, "young": now + 100, ".git/index": now + 500}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    assert subject.youngest_date(tmp_path) == pytest.approx(now + 100)
    subject.bring_dates_back(tmp_path, now)
    assert subject.youngest_date(tmp_path) == pytest.approx(now)
    assert (tmp_path / "old").stat().st_mtime == pytest.approx(now - 100)
