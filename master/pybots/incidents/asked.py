"""Decides what people may ask of incidents, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from pybots.incidents.states import Event, State, after

LONGEST_MUTE = timedelta(days=366)
REASON_LENGTH = 2_000


class Asked(StrEnum):
    """Kinds of `tables.Request` that are about an incident."""

    ACKNOWLEDGE = "acknowledge"
    """Somebody looks after it."""
    MUTE = "mute"
    """Nobody hears of it until a date."""
    INVALID = "invalid"
    """It is no regression."""
    LINK = "link"
    """The address of an issue elsewhere that is about it."""


EVENTS = {
    Asked.ACKNOWLEDGE: Event.ACKNOWLEDGED,
    Asked.MUTE: Event.MUTED,
    Asked.INVALID: Event.INVALIDATED,
    Asked.LINK: Event.LINKED,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks, as it was written."""

    kind: Asked
    who: str
    reason: str
    value: str = ""
    """A date, with or without a time, for `mute`; an address for `link`."""


class Refused(Exception):
    """It cannot be done; the text says why, and what to do."""


def muted_until(value: str, now: datetime) -> datetime:
    """Return the time that *value* (ISO 8601; UTC where it names no zone) means. Raises Refused.

    A date alone is the beginning of that day.
    """
    try:
        if len(value) == len("2026-11-22"):
            until = datetime.combine(date.fromisoformat(value), time(), UTC)
        else:
            until = datetime.fromisoformat(value)
    except ValueError:
        msg = f"{value!r} is not a date: write it like 2026-12-24 or 2026-12-24T18:00+01:00"
        raise Refused(msg) from None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    if until <= now:
        msg = f"{value} is past: give a date to come"
        raise Refused(msg)
    if until > now + LONGEST_MUTE:
        msg = f"{value} is more than a year away: mute it for less, or mark it invalid"
        raise Refused(msg)
    return until


def check(wish: Wish, now: datetime) -> None:
    """Raise Refused where *wish* makes no sense, whatever its incident is."""
    if not wish.who.strip():
        msg = "nobody says so: give a name with --who"
        raise Refused(msg)
    if wish.kind in {Asked.MUTE, Asked.INVALID} and not wish.reason.strip():
        msg = "without a reason nobody can tell later whether it was right: give one with --reason"
        raise Refused(msg)
    if wish.kind is Asked.MUTE:
        muted_until(wish.value, now)
    if wish.kind is Asked.LINK and not wish.value.startswith(("https://", "http://")):
        msg = f"{wish.value!r} is not a web address: begin it with https://"
        raise Refused(msg)


def check_state(kind: Asked, state: State) -> None:
    """Raise Refused where it cannot be done to an incident in *state*."""
    if after(state, EVENTS[kind]) is None:
        msg = f"it is {state.value} already"
        raise Refused(msg)
