"""Serves what workers fetch over HTTP: artifacts, packed sources, packages, and the trunk's mirror for git."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from buildbot.util.service import BuildbotService
from twisted.internet import defer
from twisted.internet import reactor as untyped_reactor
from twisted.internet.endpoints import serverFromString
from twisted.web import pages, resource, server, static, twcgi

from pybots.commits.rounds import AppliesEveryConfiguration
from pybots.farm.hand_out_files import Artifacts
from pybots.interpreters.artifact_store import ArtifactStore

BODY_BYTES = 4 << 20
GIT_PROCESSES = 8
GIT_SECONDS = 900

# Twisted's annotations of the reactor and of its web server do not fit each other.
reactor: Any = untyped_reactor


def _git_http_backend() -> str:
    git = shutil.which("git")
    assert git is not None, "git is needed on the master"
    folder = subprocess.run([git, "--exec-path"], check=True, capture_output=True, text=True, timeout=30)
    return str(Path(folder.stdout.strip()) / "git-http-backend")


class GitProcess(twcgi.CGIProcessProtocol):
    """One git process that answers one request, ended when it takes too long."""

    def __init__(self, request: Any, ended: defer.Deferred[None]) -> None:
        super().__init__(request)
        self._ended = ended
        self._limit = reactor.callLater(GIT_SECONDS, self._kill)

    def _kill(self) -> None:
        process: Any = self.transport
        process.signalProcess("KILL")

    def processEnded(self, reason: Any) -> None:
        """Make room for the next request."""
        if self._limit.active():
            self._limit.cancel()
        super().processEnded(reason)
        self._ended.callback(None)


class GitRepository(resource.Resource):
    """One bare repository, read-only, through git's own smart HTTP backend, a few requests at a time.

    Twisted's own CGI resource fails on every request that has a path below it (bytes joined as text).
    """

    isLeaf = True

    def __init__(self, repository: Path) -> None:
        super().__init__()
        self.repository = repository
        self.backend = _git_http_backend()
        self.places = defer.DeferredSemaphore(GIT_PROCESSES)

    def render(self, request: Any) -> int:
        """Hand the request to git as soon as there is a place."""
        gone = request.notifyFinish()
        gone.addBoth(lambda _: None)
        self.places.run(self._answer, request, gone)
        return server.NOT_DONE_YET

    def _answer(self, request: Any, gone: defer.Deferred[None]) -> defer.Deferred[None]:
        ended: defer.Deferred[None] = defer.Deferred()
        if gone.called:
            ended.callback(None)
            return ended
        # Nothing of the master's own environment but the PATH.
        environment = {**self._of_request(request), **self._of_repository(request)}
        process = GitProcess(request, ended)
        reactor.spawnProcess(process, self.backend, [self.backend], environment, str(self.repository))
        return ended

    def _of_request(self, request: Any) -> dict[str, str]:
        request.content.seek(0, os.SEEK_END)
        length = request.content.tell()
        request.content.seek(0)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request.getAllHeaders().items()
        }
        passed = ("accept", "content-encoding", "git-protocol", "user-agent")
        return {
            "CONTENT_LENGTH": str(length),
            "CONTENT_TYPE": headers.get("content-type", ""),
            "QUERY_STRING": request.uri.decode("latin-1").partition("?")[2],
            "REQUEST_METHOD": request.method.decode("latin-1"),
            "REMOTE_ADDR": request.getClientAddress().host,
            **{f"HTTP_{name.upper().replace('-', '_')}": headers[name] for name in passed if name in headers},
        }

    def _of_repository(self, request: Any) -> dict[str, str]:
        below = "/".join(part.decode("latin-1") for part in request.postpath)
        settings = {
            # The mirror may belong to another account than the master's, on a shared machine.
            "safe.directory": "*",
            "uploadpack.allowAnySHA1InWant": "true",
            "http.receivepack": "false",
        }
        environment = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "PATH": os.environ.get("PATH", os.defpath),
            "PATH_INFO": f"/{self.repository.name}/{below}",
            "GIT_PROJECT_ROOT": str(self.repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


class BoundedRequest(server.Request):
    """A request whose body may not be large: what git asks for is a list of commits."""

    def gotLength(self, length: int | None) -> None:
        """Refuse what announces to be too large, before any of it is kept."""
        super().gotLength(min(length, BODY_BYTES) if length else length)
        if length is not None and length > BODY_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Refuse what turns out to be too large."""
        content: Any = self.content
        if content.tell() + len(data) > BODY_BYTES:
            self._refuse()
        else:
            super().handleContentChunk(data)

    def _refuse(self) -> None:
        channel: Any = self.channel
        channel.transport.abortConnection()


class Ready(resource.Resource):
    """Answers once the whole master is up: what `pybots start` waits for."""

    isLeaf = True

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        super().__init__()
        self.is_ready = is_ready

    def render_GET(self, request: Any) -> bytes:
        """Say which process answers."""
        if not self.is_ready():
            request.setResponseCode(503)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return str(os.getpid()).encode()


class _Files(static.File):
    def directoryListing(self) -> resource.Resource:
        listing: resource.Resource = pages.forbidden("There is no list of what is here.")
        return listing


class _Packages(static.File):
    # An sdist is a .gz file, and no page that was compressed for the way: installers would unpack it twice.
    contentEncodings: ClassVar[dict[str, str]] = {}  # type: ignore[misc]


def make_site(
    store: Path, sources: Path, packages: Path | None, trunk: Path, is_ready: Callable[[], bool]
) -> server.Site:
    """Return the site; *packages* alone can be listed, because installers look for links."""
    root: Any = resource.Resource()
    root.putChild(b"artifacts", Artifacts(ArtifactStore(store)))
    sources.mkdir(parents=True, exist_ok=True)
    root.putChild(b"sources", _Files(str(sources), defaultType="application/octet-stream"))
    if packages is not None:
        root.putChild(b"packages", _Packages(str(packages)))
    root.putChild(trunk.name.encode(), GitRepository(trunk))
    root.putChild(b"ready", Ready(is_ready))
    return server.Site(root, requestFactory=BoundedRequest, timeout=120)


class Handout(AppliesEveryConfiguration, BuildbotService):
    """The HTTP server as one of the master's services."""

    name = "handout"
    _port: Any = None
    _listens_at = ""

    def reconfigService(
        self, *, port: str, store: str, sources: str, packages: str, trunk: str
    ) -> defer.Deferred[Any]:
        """Listen at *port* (a Twisted endpoint description); the others are paths, *packages* may be empty."""
        folder = Path(packages) if packages else None
        site = make_site(Path(store), Path(sources), folder, Path(trunk), self._is_ready)
        return defer.Deferred.fromCoroutine(self._listen(port, site))

    def _is_ready(self) -> bool:
        return bool(getattr(self.master, "became_ready", False))

    async def _listen(self, port: str, site: server.Site) -> None:
        if self._port is not None and self._listens_at == port:
            self._port.factory.resource = site.resource
            return
        # The new port first: where it cannot be had, the old one goes on.
        listening = await serverFromString(reactor, port).listen(site)
        await self._close()
        self._port, self._listens_at = listening, port

    async def _close(self) -> None:
        if self._port is not None:
            await defer.maybeDeferred(self._port.stopListening)
            self._port = None

    @defer.inlineCallbacks
    def stopService(self) -> Any:
        """Answer no more."""
        yield defer.Deferred.fromCoroutine(self._close())
        yield super().stopService()
