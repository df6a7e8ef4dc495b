"""Talks to Jinja: turns facts into pages in which nothing that strangers wrote can do harm."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from pybots.site import built, harmless, times, words
from pybots.site.grid import numbers

HERE = Path(__file__).parent
STATIC = HERE / "static"


def _version() -> str:
    """A short digest of the static files, so that browsers may keep them for long."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Rendering:
    """Makes pages from templates; *name* is the farm's, *clock* returns an aware time in UTC."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(farm_name=name, version=_version(), marks=words.MARKS)
        self._environment.filters.update(_FILTERS)

    def page(self, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
        """Return the page; *facts* are what the template names, beside `now`."""
        text = self._environment.get_template(template).render(now=self.clock(), **facts)
        # Once more, over the whole page: no template can forget it.
        return HTMLResponse(harmless.visible(text), status, {"Cache-Control": "no-cache"})


def _path(text: str) -> str:
    return quote(text, safe="~")


_FILTERS: dict[str, Callable[..., Any]] = {
    "ago": times.ago,
    "bounded": harmless.bounded,
    "built": built.built,
    "duration": times.duration,
    "exact": times.exact,
    "machine": times.machine,
    "path": _path,
    "size": times.size,
    "touches": words.of_touches,
    "variants": built.variants,
    "web_link": harmless.web_link,
    "word_of_interpreter": lambda made: words.of_interpreter(made.state, made.status),
    "word_of_run": lambda run: words.of_run(run.state, run.status),
    "numbers": lambda run: numbers(run.status, run.counts),
}
