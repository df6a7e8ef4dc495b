"""Serves the store over HTTP: an artifact's manifest by its digest, and the files that a worker asks for, as a stream.

Nobody is believed here, either: who asks for much, reads slowly or comes often waits, or is sent away, and costs the
master one open file and one chunk of memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any

from twisted.internet import reactor as untyped_reactor
from twisted.internet.interfaces import IPullProducer
from twisted.python import log
from twisted.web import pages, resource, server
from zope.interface import implementer

from pybots.interpreters.artifact_store import ArtifactStore
from pybots_worker.interpreters import file_stream
from pybots_worker.interpreters.download import FILES_AT_ONCE

# Twisted's annotations of the reactor do not fit its own classes.
reactor: Any = untyped_reactor

DIGEST = re.compile(r"[0-9a-f]{64}")
DIGEST_BYTES = 32
ANSWERS = 64
"""How many streams are sent at once; who comes then is told to come again."""
ANSWERS_TO_ONE = 16
"""The same, to one address."""
IDLE_SECONDS = 60.0
"""Whoever takes no chunk for so long is sent away."""
TOTAL_SECONDS = 1800.0
CHUNK_BYTES = 64 << 10


class Artifacts(resource.Resource):
    """`GET DIGEST` answers with a manifest; `POST files`, with digests of 32 bytes each, with those files."""

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__()
        self.store = store
        files: Any = Files(store)
        self.putChild(b"files", files)

    def getChild(self, path: bytes, request: Any) -> resource.Resource:
        """Find a manifest; there is no list of them."""
        digest = path.decode("latin-1")
        if DIGEST.fullmatch(digest) and not request.postpath:
            return StoredManifest(self.store, digest)
        missing: resource.Resource = pages.notFound()
        return missing


class StoredManifest(resource.Resource):
    """One artifact's manifest, compressed."""

    isLeaf = True

    def __init__(self, store: ArtifactStore, digest: str) -> None:
        super().__init__()
        self.store = store
        self.digest = digest

    def render_GET(self, request: Any) -> bytes:
        """Send it whole: some hundred kilobytes."""
        try:
            content = self.store.manifest_path(self.digest).read_bytes()
        except FileNotFoundError:
            return _refuse(request, 404, f"the artifact {self.digest} is not in the store")
        request.setHeader(b"content-type", b"application/octet-stream")
        return content


class Files(resource.Resource):
    """Answers with the files that are asked for."""

    isLeaf = True

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__()
        self.store = store
        self.under_way: Counter[str] = Counter()

    def render_POST(self, request: Any) -> bytes | int:
        """Begin the answer, or say why there is none."""
        asked = request.content.read(DIGEST_BYTES * FILES_AT_ONCE + 1)
        digests = [asked[at : at + DIGEST_BYTES].hex() for at in range(0, len(asked), DIGEST_BYTES)]
        if not asked or len(asked) % DIGEST_BYTES or len(set(digests)) != len(digests):
            say = (
                f"send 1 to {FILES_AT_ONCE} different digests of {DIGEST_BYTES} bytes each, and nothing else"
            )
            return _refuse(request, 400, say)
        address = str(request.getClientAddress().host)
        if self.under_way[address] >= ANSWERS_TO_ONE or self.under_way.total() >= ANSWERS:
            request.setHeader(b"retry-after", b"1")
            return _refuse(request, 503, "too many are fetching; come again")
        try:
            sizes = {digest: self.store.file_path(digest).stat().st_size for digest in digests}
        except FileNotFoundError:
            return _refuse(request, 404, "one of these files is not in the store")
        self._begin(request, address, sizes)
        return server.NOT_DONE_YET

    def _begin(self, request: Any, address: str, sizes: dict[str, int]) -> None:
        self.under_way[address] += 1
        frame_bytes = sum(file_stream.HEADER_BYTES + size for size in sizes.values())
        length = len(file_stream.MAGIC) + frame_bytes + len(file_stream.END)
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"content-length", str(length).encode())
        Answer(request, _parts(self.store, sizes), lambda: self._ended(address))

    def _ended(self, address: str) -> None:
        self.under_way[address] -= 1
        if not self.under_way[address]:
            del self.under_way[address]


@implementer(IPullProducer)
class Answer:
    """Sends one part at a time, when the other side has taken the one before."""

    def __init__(self, request: Any, parts: Iterator[bytes], ended: Callable[[], None]) -> None:
        self._request = request
        self._parts = parts
        self._ended = ended
        self._idle: Any = reactor.callLater(IDLE_SECONDS, self._abort)
        self._total: Any = reactor.callLater(TOTAL_SECONDS, self._abort)
        request.notifyFinish().addBoth(self._finish)
        request.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Send the next part."""
        try:
            part = next(self._parts, None)
        except OSError as error:
            # It was removed, or the disk fails: an answer that is cut off is rejected by who reads it.
            log.msg(f"a stream of files ends early: {error}")
            self._abort()
            return
        if part is None:
            self._request.unregisterProducer()
            self._request.finish()
            return
        self._idle.reset(IDLE_SECONDS)
        self._request.write(part)

    def stopProducing(self) -> None:
        """The connection is gone; `_finish` hears of it, too."""

    def _abort(self) -> None:
        self._request.channel.transport.abortConnection()

    def _finish(self, _: Any) -> None:
        for call in (self._idle, self._total):
            if call.active():
                call.cancel()
        close: Any = self._parts
        close.close()
        self._ended()


def _parts(store: ArtifactStore, sizes: dict[str, int]) -> Iterator[bytes]:
    """Give the whole stream; small files together, so that 2500 of them are not as many writes."""
    part = bytearray(file_stream.MAGIC)
    for digest, size in sizes.items():
        part += file_stream.header(digest, size)
        with store.file_path(digest).open("rb") as stream:
            for chunk in _chunks(stream, size):
                part += chunk
                if len(part) >= CHUNK_BYTES:
                    yield bytes(part)
                    part.clear()
    yield bytes(part) + file_stream.END


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Give a file that has to have *size* bytes. Raises OSError where it has not."""
    while size:
        chunk = stream.read(min(size, CHUNK_BYTES))
        if not chunk:
            msg = f"{stream.name} became shorter"
            raise OSError(msg)
        size -= len(chunk)
        yield chunk


def _refuse(request: Any, code: int, why: str) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return f"{why}\n".encode()
