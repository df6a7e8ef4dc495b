"""What workers fetch over HTTP, against the real server, git and an installer's way of reading links."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pybots.farm.packed_sources import pack_folder

SERVER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from pybots.farm.handout import make_site
store, sources, packages, trunk = map(Path, sys.argv[1:])
port = reactor.listenTCP(0, make_site(store, sources, packages, trunk, lambda: True), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    upstream = tmp_path / "upstream"
    upstream.mkdir()
    git(upstream, "init", "-q", "-b", "main")
    for number in range(3):
        (upstream / "file").write_text(str(number))
        git(upstream, "add", "file")
        git(upstream, "commit", "-q", "-m", f"commit {number}")
    git(tmp_path, "clone", "-q", "--bare", str(upstream), "trunk.git")
    for name in ("store", "sources", "packages"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / "manifests").mkdir()
    (tmp_path / "store" / "manifests" / f"{'a' * 64}.json.zst").write_bytes(b"manifest")
    (tmp_path / "sources" / "abc.archive").write_bytes(b"archive")
    (tmp_path / "packages" / "thing-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "packages" / "thing-1.0.tar.gz").write_bytes(gzip.compress(b"sdist"))
    folders = [str(tmp_path / name) for name in ("store", "sources", "packages", "trunk.git")]
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *folders], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield tmp_path, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def test_artifacts_and_sources_are_served_and_not_listed(served: tuple[Path, str]) -> None:
    _, base = served
    assert httpx.get(f"{base}/artifacts/{'a' * 64}").content == b"manifest"
    assert httpx.get(f"{base}/artifacts/").status_code == 404
    assert httpx.get(f"{base}/artifacts/%2e%2e/trunk.git/config").status_code == 404
    assert httpx.get(f"{base}/sources/abc.archive").content == b"archive"
    assert httpx.get(f"{base}/sources/").status_code == 403
    assert httpx.get(f"{base}/sources/%2e%2e/trunk.git/config").status_code == 404


def test_packages_are_listed_for_installers(served: tuple[Path, str]) -> None:
    _, base = served
    assert 'href="thing-1.0-py3-none-any.whl"' in httpx.get(f"{base}/packages/").text


def test_an_sdist_arrives_as_it_is(served: tuple[Path, str]) -> None:
    """With a header that says gzip, whoever asks would unpack it on the way."""
    _, base = served
    answer = httpx.get(f"{base}/packages/thing-1.0.tar.gz")
    assert "content-encoding" not in answer.headers
    assert gzip.decompress(answer.content) == b"sdist"


def test_any_commit_is_fetched_by_name_and_nothing_is_pushed(served: tuple[Path, str]) -> None:
    folder, base = served
    middle = git(folder / "upstream", "rev-parse", "HEAD~1")
    worker = folder / "worker"
    worker.mkdir()
    git(worker, "init", "-q")
    git(worker, "fetch", "-q", "--depth=1", f"{base}/trunk.git", middle)
    git(worker, "checkout", "-q", "FETCH_HEAD")
    assert (worker / "file").read_text() == "1"
    with pytest.raises(subprocess.CalledProcessError):
        git(worker, "push", "-q", f"{base}/trunk.git", "HEAD:refs/heads/other")


def test_ready_names_the_process(served: tuple[Path, str]) -> None:
    _, base = served
    assert httpx.get(f"{base}/ready").text.isdigit()


def test_the_same_folder_packs_to_the_same_digest(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file.py").write_text("x = 1\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("left out")
    first = pack_folder(folder, tmp_path / "sources")
    os.utime(folder / "sub" / "file.py", (1, 1))
    assert pack_folder(folder, tmp_path / "sources") == first
    with tarfile.open(tmp_path / "sources" / f"{first}.tar.gz") as archive:
        assert archive.getnames() == ["source/sub/file.py"]
    (folder / "sub" / "file.py").write_text("x = 2\n")
    assert pack_folder(folder, tmp_path / "sources") != first


def test_a_large_body_is_refused_before_it_is_kept(served: tuple[Path, str]) -> None:
    _, base = served

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * (1 << 20)

    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{base}/trunk.git/git-upload-pack", content=endless())
    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{base}/trunk.git/git-upload-pack", content=b"x" * (8 << 20))
    assert httpx.get(f"{base}/ready").status_code == 200
