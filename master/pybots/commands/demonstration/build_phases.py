"""Talks to Buildbot's REST API about the phase that a build is in, as the worker announces it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx

ASK_SECONDS = 2.0
LINES_AT_ONCE = 5000
MARK = "=== "
"""What `pybots-worker` puts before the name of a phase, on a line of its own."""


class Phases:
    """Follows the logs of builds; what was read is not read again."""

    def __init__(self, operators_url: str) -> None:
        self.operators_url = operators_url
        self._read: dict[int, tuple[int, str]] = {}

    def of(self, busy: Iterable[tuple[str, int | None]]) -> dict[str, str]:
        """The phase of each (key, build number); without those of which Buildbot has nothing to say."""
        found = {}
        with httpx.Client(base_url=self.operators_url, timeout=ASK_SECONDS, trust_env=False) as client:
            for key, build in busy:
                try:
                    found[key] = self._phase(client, build) if build is not None else ""
                except (httpx.HTTPError, ValueError, LookupError, TypeError):
                    continue  # it starts, or is busy; the next look comes soon
        return {key: phase for key, phase in found.items() if phase}

    def _phase(self, client: httpx.Client, build: int) -> str:
        steps = _get(client, f"api/v2/builds/{build}/steps")["steps"]
        under_way = [step for step in steps if step["started_at"] and not step["complete"]]
        if not under_way:
            return ""
        logs = _get(client, f"api/v2/steps/{under_way[-1]['stepid']}/logs")["logs"]
        said = [
            self._follow(client, log["logid"], log["num_lines"]) for log in logs if log["name"] == "stdio"
        ]
        return next((phase for phase in said if phase), str(under_way[-1]["name"]))

    def _follow(self, client: httpx.Client, log: int, lines: int) -> str:
        first, phase = self._read.get(log, (0, ""))
        count = min(lines - first, LINES_AT_ONCE)
        if count > 0:
            wanted = {"offset": first, "limit": count}
            chunk = _get(client, f"api/v2/logs/{log}/contents", **wanted)["logchunks"][0]["content"]
            phase = last_phase(chunk) or phase
            self._read[log] = (first + count, phase)
        return phase


def _get(client: httpx.Client, path: str, **query: int) -> Any:
    return client.get(path, params=query).raise_for_status().json()


def last_phase(log: str) -> str:
    """The last phase that *log* announces; Buildbot puts a letter for the stream before each line."""
    said = [line[1 + len(MARK) :].strip() for line in log.splitlines() if line[1:].startswith(MARK)]
    return said[-1][:60] if said else ""
