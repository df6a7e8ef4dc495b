"""Talks HTTP: the pages that people read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pybots.database.engine import Sessions
from pybots.site import log, read_farm, read_interpreters, read_runs
from pybots.site.facts import Farm
from pybots.site.grid import arrange
from pybots.site.open import NotStartedError, reading
from pybots.site.rendering import Rendering
from pybots.site.standing import master_banner, standing

T = TypeVar("T")
TAIL_LINES = 200
LINES_A_PAGE = 1000
RUNS_A_TRACK = 30


@dataclass(frozen=True, slots=True)
class Pages:
    """Every page: each reads in one short session, closes it, and only then renders."""

    sessions: Sessions
    rendering: Rendering

    def router(self) -> APIRouter:
        """Return the routes; keys are taken with whatever is in them."""
        router = APIRouter()
        for path, endpoint in (
            ("/", self.home),
            ("/project/{name:path}", self.project),
            ("/run/{key:path}/log", self.run_log),
            ("/run/{key:path}/lines", self.run_lines),
            ("/run/{key:path}", self.run),
            ("/interpreter/{key:path}", self.interpreter),
            ("/commit/{sha}", self.commit),
            ("/commits", self.commits),
            ("/environment/{digest}", self.environment),
            ("/workers", self.workers),
            ("/worker", self.workers),
            ("/queue", self.queue),
        ):
            router.add_route(path, endpoint, methods=["GET"], include_in_schema=False)
        return router

    def _read(self, read: Callable[[Session], T]) -> tuple[T, Farm]:
        return reading(self.sessions, lambda session: (read(session), read_farm.farm(session)))

    def _found(self, what: str, read: Callable[[Session], T | None]) -> tuple[T, Farm]:
        value, farm = self._read(read)
        if value is None or value == []:
            raise HTTPException(404, f"There is no {what}.")
        return value, farm

    def _page(self, template: str, farm: Farm, **facts: Any) -> Response:
        banner = master_banner(farm, self.rendering.clock())
        return self.rendering.page(template, farm=farm, banners=[banner] if banner else [], **facts)

    def home(self, _request: Request) -> Response:
        """The grid, how things stand, and the trunk's newest commits."""
        try:
            overview = reading(self.sessions, read_farm.overview)
        except NotStartedError:
            return self.rendering.page("not_started.html", farm=None, banners=[])
        grid = arrange(overview.projects, overview.tracks, overview.cells)
        says = standing(overview, grid, self.rendering.clock())
        return self.rendering.page(
            "home.html", farm=overview.farm, banners=says.banners, overview=overview, grid=grid, says=says
        )

    def project(self, request: Request) -> Response:
        """A project: what it is, what it leaves out, and its runs on every track."""
        name = request.path_params["name"]
        (project, history), farm = self._read(
            lambda session: (
                read_farm.project(session, name, read_farm.tracks(session)),
                read_runs.project_history(session, name, RUNS_A_TRACK),
            )
        )
        if project is None:
            raise HTTPException(404, f"There is no project called {name}.")
        tracks = [(key, list(runs)) for key, runs in groupby(history, key=lambda run: run.track)]
        return self._page("project.html", farm, project=project, tracks=tracks)

    def run(self, request: Request) -> Response:
        """A run, its failing tests, and the end of its log."""
        key = request.path_params["key"]
        (details, kept), farm = self._read(
            lambda session: (read_runs.run_details(session, key), read_runs.compressed_log(session, key))
        )
        if details is None:
            raise HTTPException(404, f"There is no run {key}.")
        shown = log.tail(log.decompress(kept[0]), TAIL_LINES) if kept else None
        return self._page("run.html", farm, details=details, run=details.run, log=shown)

    def _log(self, key: str) -> tuple[str, Farm]:
        kept, farm = self._found(f"log of a run {key}", lambda s: read_runs.compressed_log(s, key))
        return log.decompress(kept[0]), farm

    def run_log(self, request: Request) -> Response:
        """The whole log as plain text."""
        text, _farm = self._log(request.path_params["key"])
        return PlainTextResponse(log.harmless_log(text), headers={"Cache-Control": "no-cache"})

    def run_lines(self, request: Request) -> Response:
        """The whole log, a thousand numbered lines a page."""
        key, asked = request.path_params["key"], request.query_params.get("first", "1")
        text, farm = self._log(key)
        first = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1
        shown = log.part(text, first, LINES_A_PAGE)
        return self._page("lines.html", farm, key=key, log=shown, step=LINES_A_PAGE)

    def interpreter(self, request: Request) -> Response:
        """An interpreter: how it was made, its proof, and what ran on it."""
        key = request.path_params["key"]
        details, farm = self._found(
            f"interpreter {key}", lambda session: read_interpreters.interpreter_details(session, key)
        )
        return self._page("interpreter.html", farm, details=details, made=details.interpreter)

    def commit(self, request: Request) -> Response:
        """A commit on every branch that it is on."""
        sha = request.path_params["sha"].lower()
        found, farm = self._found(f"commit {sha} here", lambda s: read_interpreters.commit(s, sha))
        return self._page("commit.html", farm, commits=found)

    def commits(self, _request: Request) -> Response:
        """The newest commits of every branch."""
        found, farm = self._read(lambda session: read_interpreters.newest_commits(session, 60))
        return self._page("commits.html", farm, commits=found)

    def environment(self, request: Request) -> Response:
        """A lock that can be installed again."""
        digest = request.path_params["digest"]
        found, farm = self._found(
            f"environment {digest}", lambda session: read_farm.environment(session, digest)
        )
        return self._page("environment.html", farm, environment=found)

    def workers(self, _request: Request) -> Response:
        """The donated workers."""
        found, farm = self._read(read_farm.workers)
        return self._page("workers.html", farm, workers=found)

    def queue(self, _request: Request) -> Response:
        """What is wanted or under way."""
        found, farm = self._read(read_farm.queue)
        return self._page("queue.html", farm, queue=found)
