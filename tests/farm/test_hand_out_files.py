"""The store over HTTP, against the real server: what workers fetch, and what becomes of those who want too much."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import zstandard

from pybots.interpreters.artifact_store import ArtifactStore
from pybots_worker.contract import StoredInterpreter
from pybots_worker.interpreters.download import FILES_AT_ONCE, Download, DownloadError
from pybots_worker.interpreters.file_cache import FileCache
from pybots_worker.interpreters.file_stream import END, MAGIC, header
from pybots_worker.interpreters.lay_out import lay_out
from pybots_worker.interpreters.manifest import FileEntry, Manifest

SERVER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.web import resource, server
from pybots.farm import hand_out_files
from pybots.farm.handout import BoundedRequest
from pybots.interpreters.artifact_store import ArtifactStore
hand_out_files.IDLE_SECONDS = 3.0
hand_out_files.ANSWERS_TO_ONE = 4
root = resource.Resource()
root.putChild(b"artifacts", hand_out_files.Artifacts(ArtifactStore(Path(sys.argv[1]))))
port = reactor.listenTCP(0, server.Site(root, requestFactory=BoundedRequest), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""
LARGE = 24 << 20


@dataclass
class Served:
    """A store with one artifact of many small files and a large one, behind the real server."""

    store: ArtifactStore
    manifest: Manifest
    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """The address below which everything is."""
        return f"http://127.0.0.1:{self.port}/artifacts"

    def interpreter(self) -> StoredInterpreter:
        """What a worker is told to fetch."""
        return StoredInterpreter(digest=self.manifest.digest(), url=self.url)

    def ask(self, body: bytes) -> httpx.Response:
        """Ask for files."""
        return httpx.post(f"{self.url}/files", content=body, timeout=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    contents = [b"%d" % number for number in range(FILES_AT_ONCE + 100)] + [os.urandom(LARGE)]
    entries = [
        FileEntry(path=f"{number:05}", size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for number, content in enumerate(contents)
    ]
    manifest = Manifest(entries=list(entries))
    pack = io.BytesIO()
    pack.write(MAGIC)
    for entry, content in zip(entries, contents, strict=True):
        frame = zstandard.compress(content, 1)
        pack.write(header(entry.sha256, len(frame)) + frame)
    pack.write(END)
    pack.seek(0)
    store.take_in_files(pack, manifest)
    store.keep(manifest)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(store.folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Served(store, manifest, port, psutil.Process(process.pid))
        finally:
            process.kill()


def test_a_worker_fetches_all_and_lays_it_out(served: Served, tmp_path: Path) -> None:
    cache, download = FileCache(tmp_path / "files"), Download(served.interpreter())
    manifest = download.manifest()
    assert manifest == served.manifest
    download.files(manifest.sizes(), cache)
    assert cache.lacking(manifest.sizes()) == []
    assert lay_out(manifest, cache.bring, tmp_path / "place") == []


def test_what_is_not_there_is_said_to_be_missing_and_nothing_is_listed(served: Served) -> None:
    for path in ("0" * 64, "", "files", "../ready", "%2e%2e/x", served.manifest.digest() + "/x", "files/x"):
        assert httpx.get(f"{served.url}/{path}").status_code in {404, 405}, path
    assert served.ask(bytes(32)).status_code == 404
    missing = served.interpreter().model_copy(update={"digest": "0" * 64})
    with pytest.raises(DownloadError, match="404"):
        Download(missing).manifest()


def known(served: Served, count: int) -> bytes:
    return b"".join(bytes.fromhex(digest) for digest in list(served.manifest.sizes())[:count])


def test_who_asks_for_too_much_or_for_nonsense_is_refused(served: Served) -> None:
    assert served.ask(known(served, FILES_AT_ONCE)).status_code == 200
    for body in (
        b"",
        b"x",
        known(served, 1) + b"x",
        known(served, 1) * 2,
        known(served, FILES_AT_ONCE + 1),
        os.urandom(3 << 20),
    ):
        assert served.ask(body).status_code == 400, len(body)
    with pytest.raises(httpx.HTTPError):
        served.ask(bytes(5 << 20))


def slow_reader(served: Served) -> socket.socket:
    """Ask for the large file and read nothing of it."""
    large = max(served.manifest.sizes().items(), key=lambda item: item[1])[0]
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", served.port))
    connection.sendall(
        b"POST /artifacts/files HTTP/1.1\r\nhost: x\r\ncontent-length: 32\r\n\r\n" + bytes.fromhex(large)
    )
    assert connection.recv(10) == b"HTTP/1.1 2"
    return connection


def test_slow_readers_cost_little_and_are_sent_away(served: Served, tmp_path: Path) -> None:
    """The others are answered meanwhile; one address has so many places, and gets them back."""
    before, open_before = served.process.memory_info().rss, served.process.num_fds()
    readers = [slow_reader(served) for _ in range(3)]
    Download(served.interpreter()).files(
        dict(list(served.manifest.sizes().items())[:50]), FileCache(tmp_path)
    )
    readers.append(slow_reader(served))
    assert served.ask(known(served, 1)).status_code == 503
    assert served.process.memory_info().rss - before < 8 << 20
    # A worker that is told to come again does so until there is a place: when the slow ones are sent away.
    Download(served.interpreter()).files(served.manifest.sizes(), FileCache(tmp_path))
    deadline = time.monotonic() + 20
    while served.process.num_fds() > open_before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for reader in readers:
        reader.close()


def test_a_reader_that_goes_away_leaves_nothing(served: Served) -> None:
    before = served.process.num_fds()
    for _ in range(20):
        slow_reader(served).close()
    deadline = time.monotonic() + 20
    while served.process.num_fds() > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.ask(known(served, 1)).status_code == 200


def test_a_file_that_becomes_shorter_is_an_answer_that_is_cut_off(served: Served, tmp_path: Path) -> None:
    digest, size = list(served.manifest.sizes().items())[7]
    path = served.store.file_path(digest)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    try:
        with pytest.raises(DownloadError):
            Download(served.interpreter()).files({digest: size}, FileCache(tmp_path))
        assert FileCache(tmp_path).lacking([digest]) == [digest]
    finally:
        path.write_bytes(content)
