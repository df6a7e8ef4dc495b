"""Talks HTTP: the same facts for programs, described by OpenAPI at /api/openapi.json."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, HTTPException, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from pybots.database.engine import Sessions
from pybots.site import read_farm, read_interpreters, read_runs
from pybots.site.facts import (
    Commit,
    Environment,
    Farm,
    Interpreter,
    InterpreterDetails,
    Overview,
    Project,
    Queue,
    Run,
    RunDetails,
    Track,
    Worker,
)
from pybots.site.grid import arrange
from pybots.site.open import NotStartedError, reading
from pybots.site.standing import Banner, master_state, newest_result, standing

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Before = Annotated[
    int | None, Query(ge=0, le=2**62, description="Only those with a smaller number: for the next page.")
]
TrackName = Annotated[
    str, Query(max_length=400, description="`main/default/linux-x86_64-glibc`, or as pages write it.")
]
Name = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class ProjectStanding:
    """A project, its newest finished run on each track, and what is under way."""

    project: Project
    newest: list[Run]
    under_way: list[Run]


@dataclass(frozen=True, slots=True)
class Status:
    """How the farm does. `farm` is missing where it was never started."""

    name: str
    started: bool
    sentence: str
    master: str
    """`alive`, `silent` (not heard of for more than a minute) or `unknown`."""
    newest_result_at: datetime | None
    banners: list[Banner]
    farm: Farm | None


def parse_track(text: str) -> Track | None:
    """Return the track that *text* names, with `/`, `~` or a middle dot between its parts; None if none."""
    parts = [part.strip() for part in re.split(r"[/~·]", text)]
    if len(parts) < 3 or not all(parts):
        return None
    # A branch may have slashes of its own.
    return Track.of("/".join(parts[:-2]), parts[-2], parts[-1])


class CachedRoute(APIRoute):
    """Answers with an ETag, and with 304 to those who have the same already."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's own handler."""
        handle = super().get_route_handler()

        async def cached(request: Request) -> Response:
            response = await handle(request)
            tag = f'W/"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
            headers = {"ETag": tag, "Cache-Control": "public, max-age=5"}
            given = request.headers.get("if-none-match", "")
            if response.status_code == 200 and tag in [part.strip() for part in given.split(",")]:
                return Response(status_code=304, headers=headers)
            response.headers.update(headers)
            return response

        return cached


def status(sessions: Sessions, clock: Callable[[], datetime], name: str) -> Status:
    """Return how the farm does, also where it was never started."""
    try:
        overview = reading(sessions, read_farm.overview)
    except NotStartedError:
        return Status(name, False, "The farm has not started yet.", "unknown", None, [], None)
    now = clock()
    grid = arrange(overview.projects, overview.tracks, overview.cells)
    says = standing(overview, grid, now)
    newest, state = newest_result(grid), master_state(overview.farm, now)
    return Status(name, True, says.sentence, state, newest, list(says.banners), overview.farm)


def _found(value: T | None, what: str) -> T:
    if value is None:
        raise HTTPException(404, f"There is no {what}.")
    return value


def _track(text: str) -> Track | None:
    track = parse_track(text)
    if text and track is None:
        raise HTTPException(422, f"{text!r} is no track: give branch/variant/platform.")
    return track


def project_standings(overview: Overview) -> list[ProjectStanding]:
    """Return every project with its runs from the grid."""
    standings = []
    for project in overview.projects:
        cells = [overview.cells.get((project.name, track.name)) for track in overview.tracks]
        newest = [cell.newest for cell in cells if cell and cell.newest]
        under_way = [cell.under_way for cell in cells if cell and cell.under_way]
        standings.append(ProjectStanding(project, newest, under_way))
    return standings


def make_api(sessions: Sessions, clock: Callable[[], datetime], name: str) -> APIRouter:
    """Return the routes under /api/."""
    router = APIRouter(prefix="/api", route_class=CachedRoute)
    _add_farm(router, sessions, clock, name)
    _add_work(router, sessions)
    return router


def _add_farm(router: APIRouter, sessions: Sessions, clock: Callable[[], datetime], name: str) -> None:
    @router.get("/status")
    def get_status() -> Status:
        """How the farm does, in a sentence and in numbers."""
        return status(sessions, clock, name)

    @router.get("/projects")
    def get_projects() -> list[ProjectStanding]:
        """Every project with its newest run on each track: the grid."""
        return project_standings(reading(sessions, read_farm.overview))

    @router.get("/tracks")
    def get_tracks() -> list[Track]:
        """Every track of the farm."""
        return reading(sessions, read_farm.tracks)

    @router.get("/workers")
    def get_workers() -> list[Worker]:
        """The donated workers as the master last saw them."""
        return reading(sessions, read_farm.workers)

    @router.get("/queue")
    def get_queue() -> Queue:
        """What is wanted or under way, longest waiting first."""
        return reading(sessions, read_farm.queue)


def _add_work(router: APIRouter, sessions: Sessions) -> None:
    @router.get("/runs")
    def get_runs(
        project: Name = "", track: TrackName = "", limit: Limit = 50, before: Before = None
    ) -> list[Run]:
        """Runs, newest first."""
        on = _track(track)
        return reading(
            sessions,
            lambda s: read_runs.list_runs(s, project=project, track=on, before=before, limit=limit),
        )

    @router.get("/runs/{key:path}")
    def get_run(key: str) -> RunDetails:
        """One run with its phases and failing tests; its log is at /run/KEY/log."""
        return _found(reading(sessions, lambda s: read_runs.run_details(s, key)), f"run {key}")

    @router.get("/interpreters")
    def get_interpreters(
        track: TrackName = "", limit: Limit = 50, before: Before = None
    ) -> list[Interpreter]:
        """Interpreters, newest first."""
        on = _track(track)
        return reading(
            sessions,
            lambda s: read_interpreters.list_interpreters(s, track=on, before=before, limit=limit),
        )

    @router.get("/interpreters/{key:path}")
    def get_interpreter(key: str) -> InterpreterDetails:
        """One interpreter with its phases, its proof, and the runs made on it."""
        found = reading(sessions, lambda s: read_interpreters.interpreter_details(s, key))
        return _found(found, f"interpreter {key}")

    @router.get("/commits")
    def get_commits(branch: Name = "", limit: Limit = 50, before: Before = None) -> list[Commit]:
        """The newest commits of every branch, or of one; `before` takes a position on the branch."""
        return reading(
            sessions, lambda s: read_interpreters.newest_commits(s, limit, branch=branch, before=before)
        )

    @router.get("/environments/{digest}")
    def get_environment(digest: str) -> Environment:
        """A lock that can be installed again, and the newest runs made in it."""
        found = reading(sessions, lambda s: read_farm.environment(s, digest))
        return _found(found, f"environment {digest}")


def routes(application: FastAPI) -> list[tuple[str, str]]:
    """Return path and summary of everything that the API answers, for the page that lists it."""
    paths = application.openapi()["paths"]
    return [(path, str(ways["get"].get("description", ""))) for path, ways in paths.items() if "get" in ways]
