"""Serves what workers fetch over HTTP: artifacts, packed sources, packages, and the trunk's mirror for git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from buildbot.util.service import BuildbotService
from twisted.application import strports
from twisted.internet import defer
from twisted.web import resource, server, static, twcgi

def _git_http_backend() -> str:
    git = shutil.which("git")
    assert git is not None, "git is needed on the master"
    folder = subprocess.run([git, "--exec-path"], check=True, capture_output=True, text=True, timeout=30)
    return str(Path(folder.stdout.strip()) / "git-http-backend")


class GitRepository(twcgi.CGIScript):
    """One bare repository, read-only, through git's own smart HTTP backend."""

    def __init__(self, repository: Path) -> None:
        super().__init__(_git_http_backend())
        self.repository = repository

    def runProcess(self, env: dict[str, str], request: Any, qargs: list[str] | None = None) -> None:
        """Give git the repository, and nothing of the master's own environment but the PATH."""
        served = {
            **{name: value for name, value in env.items() if name.startswith(("HTTP_", "REQUEST_", "CONTENT_"))},
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PROTOCOL": env.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "SERVER_NAME": env.get("SERVER_NAME", "localhost"),
            "QUERY_STRING": env.get("QUERY_STRING", ""),
            "PATH": env.get("PATH", ""),
            "PATH_INFO": f"/{self.repository.name}" + env.get("PATH_INFO", ""),
            "GIT_PROJECT_ROOT": str(self.repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            # The mirror may belong to another account than the master's, on a shared machine.
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_1": "true",
            "GIT_CONFIG_KEY_2": "http.receivepack",
            "GIT_CONFIG_VALUE_2": "false",
        }
        super().runProcess(served, request, qargs or [])


class Ready(resource.Resource):
    """Answers once the master is up: what `pybots start` waits for."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Say which process answers."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return str(os.getpid()).encode()


class _Files(static.File):
    def directoryListing(self) -> resource.Resource:
        return resource._UnsafeForbiddenResource("Forbidden", "There is no list of what is here.")


def make_site(store: Path, sources: Path, packages: Path | None, trunk: Path) -> server.Site:
    """Return the site; *packages* alone can be listed, because installers look for links."""
    root = resource.Resource()
    for name, folder in ((b"artifacts", store), (b"sources", sources)):
        folder.mkdir(parents=True, exist_ok=True)
        root.putChild(name, _Files(str(folder), defaultType="application/octet-stream"))
    if packages is not None:
        root.putChild(b"packages", static.File(str(packages)))
    root.putChild(trunk.name.encode(), GitRepository(trunk))
    root.putChild(b"ready", Ready())
    return server.Site(root, timeout=120)


class Handout(BuildbotService):
    """The HTTP server as one of the master's services."""

    name = "handout"  # type: ignore[assignment]
    _port: Any = None

    def reconfigService(  # type: ignore[override]
        self, *, port: str, store: str, sources: str, packages: str, trunk: str
    ) -> defer.Deferred[Any]:
        """Listen at *port* (a Twisted endpoint description); the others are paths, *packages* may be empty."""
        site = make_site(Path(store), Path(sources), Path(packages) if packages else None, Path(trunk))
        return defer.Deferred.fromCoroutine(self._listen(port, site))

    async def _listen(self, port: str, site: server.Site) -> None:
        if self._port is not None:
            await defer.maybeDeferred(self._port.disownServiceParent)
        self._port = strports.service(port, site)
        await defer.maybeDeferred(self._port.setServiceParent, self)
