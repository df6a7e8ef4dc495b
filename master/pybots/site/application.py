"""Puts the site together: pages, API, static files, and what is said when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from pybots import __doc__ as summary
from pybots.database.engine import Sessions
from pybots.site import api
from pybots.site.headers import HEADERS, SafeHeaders
from pybots.site.open import NotStartedError, UnreadableError
from pybots.site.pages import Pages
from pybots.site.rendering import STATIC, Rendering

NOT_STARTED = "The farm has not started yet."


def make_application(sessions: Sessions, clock: Callable[[], datetime], name: str) -> FastAPI:
    """Return the site over *sessions*; *clock* returns an aware time in UTC, *name* is the farm's.

    It only reads, and answers whatever state the database is in.
    """
    application = FastAPI(
        title=f"{name}: results",
        summary=(summary or "").strip(),
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
    )
    rendering = Rendering(name, clock)
    application.add_middleware(SafeHeaders)
    application.include_router(api.make_api(sessions, clock, name))
    application.include_router(Pages(sessions, rendering).router())
    application.mount("/static", StaticFiles(directory=STATIC))
    _add_health(application, sessions, clock, name)
    _add_api_page(application, rendering)
    _add_errors(application, rendering)
    return application


def _add_health(application: FastAPI, sessions: Sessions, clock: Callable[[], datetime], name: str) -> None:
    def health(_request: Request) -> Response:
        try:
            said = api.status(sessions, clock, name)
        except UnreadableError:
            return JSONResponse({"site": "ok", "database": "unreadable", "master": "unknown"}, 503)
        database = "ok" if said.started else "not-started"
        return JSONResponse({"site": "ok", "database": database, "master": said.master})

    application.add_route("/healthz", health, methods=["GET"], include_in_schema=False)


def _add_api_page(application: FastAPI, rendering: Rendering) -> None:
    def listing(_request: Request) -> Response:
        return rendering.page("api.html", farm=None, banners=[], routes=api.routes(application))

    application.add_route("/api", listing, methods=["GET"], include_in_schema=False)


def _add_errors(application: FastAPI, rendering: Rendering) -> None:
    def answer(request: Request, status: int, title: str, text: str) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"detail": text}, status)
        facts: dict[str, Any] = {"title": title, "text": text}
        return rendering.page("error.html", status=status, farm=None, banners=[], **facts)

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        title = "Not here" if error.status_code == 404 else "That does not work"
        text = "There is no such page." if error.detail == "Not Found" else str(error.detail)
        return answer(request, error.status_code, title, text)

    def not_started(request: Request, _error: Exception) -> Response:
        return answer(request, 503, "Not yet", NOT_STARTED)

    def unreadable(request: Request, error: Exception) -> Response:
        return answer(request, 503, "The results cannot be read", str(error))

    def broken(request: Request, _error: Exception) -> Response:
        response = answer(request, 500, "The site made a mistake", "It is in the site's log.")
        response.headers.update(HEADERS)  # this one is answered outside of all middleware
        return response

    application.add_exception_handler(HTTPException, refused)
    application.add_exception_handler(NotStartedError, not_started)
    application.add_exception_handler(UnreadableError, unreadable)
    application.add_exception_handler(Exception, broken)
