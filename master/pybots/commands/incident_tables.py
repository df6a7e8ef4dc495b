"""Draws incidents for a terminal; nothing that strangers wrote reaches it unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pybots.incidents.read_incidents import Incident
from pybots.incidents.title import named
from pybots.site.harmless import bounded
from pybots.site.times import ago

STYLES = {"suspected": "yellow", "invalid": "bright_black", "fixed": "green"}
SHOWN_ITEMS = 40


def incidents(found: Sequence[Incident], now: datetime) -> RenderableType:
    """Incidents, one a line."""
    table = _table("id", "state", "cause", "since", "opened", "what")
    for one in found:
        table.add_row(
            str(one.id),
            _state(one),
            one.cause,
            (one.first_bad or "")[:10],
            ago(one.opened_at, now),
            _text(one.title),
        )
    return table


def incident(one: Incident, now: datetime) -> RenderableType:
    """One incident with all that is known of it."""
    lines: list[RenderableType] = [
        Text.assemble(f"{one.id}  ", _state(one), f"  {bounded(one.title, 300)}"),
        _text(one.reason, 2_000),
        _text(f"cause: {one.cause}{_axes(one)}"),
        _text(f"last good {one.last_good or 'not known'}, first bad {one.first_bad or 'not known'}"),
        _text(f"opened {ago(one.opened_at, now)}, changed {ago(one.changed_at, now)}"),
        *_people(one),
        _text(f"to see it yourself: {one.reproduce}"),
        Text(""),
        _items(one),
        Text(""),
        _steps(one, now),
    ]
    return Group(*lines)


def _people(one: Incident) -> list[RenderableType]:
    said = [
        (one.acknowledged_by, f"{one.acknowledged_by} looks after it"),
        (one.muted_until, f"muted until {one.muted_until:%Y-%m-%d %H:%M} UTC" if one.muted_until else ""),
        (one.upstream, f"elsewhere: {one.upstream}"),
    ]
    return [_text(text) for there, text in said if there]


def _items(one: Incident) -> RenderableType:
    table = _table("project", "item", "track", "surfaced in", "now")
    for item in one.items[:SHOWN_ITEMS]:
        now = "broken" if item.fixed_at is None else "well again"
        table.add_row(
            _text(item.project or ""),
            _text(item.test or "as a whole"),
            _text(item.track),
            _text(item.surfaced_in or item.surfaced),
            now,
        )
    more = len(one.items) - SHOWN_ITEMS
    return Group(table, Text(f"and {more} more")) if more > 0 else table


def _steps(one: Incident, now: datetime) -> RenderableType:
    table = _table("when", "what", "state", "who", "why", "evidence")
    for step in one.transitions:
        table.add_row(
            ago(step.at, now),
            step.what,
            step.state,
            _text(step.who),
            _text(step.reason, 500),
            _text(named(step.evidence), 500),
        )
    return table


def _axes(one: Incident) -> str:
    return f" (together: {', '.join(one.axes)})" if len(one.axes) > 1 else ""


def _state(one: Incident) -> Text:
    return Text(one.state, STYLES.get(one.state, "bold red"))


def _text(value: str, longest: int = 300) -> Text:
    # Text, not str: rich would read [brackets] in a str as its own markup.
    return Text(bounded(value, longest))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"id", "state", "when", "now", "since"})
    return table
