"""Decides what becomes of an incident: its states, and which events lead from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

FARM = "farm"
"""Who says so where no person did."""


class State(StrEnum):
    """How far the knowledge of an incident has come."""

    SUSPECTED = "suspected"
    """Reproduced beyond chance; what makes the difference is not settled."""
    CONFIRMED = "confirmed"
    """On the same machine, something that was put back made it go away."""
    ATTRIBUTED = "attributed"
    """Everything that had moved was put back, alone: whose it is is settled."""
    ANNOUNCED = "announced"
    """Somebody was told."""
    FIXED = "fixed"
    """Every item passes again, on every track that showed it."""
    INVALID = "invalid"
    """A person said that it is none."""


OPEN = frozenset({State.SUSPECTED, State.CONFIRMED, State.ATTRIBUTED, State.ANNOUNCED})


class Event(StrEnum):
    """What can happen to an incident."""

    OPENED = "opened"
    CONFIRMED = "confirmed"
    ATTRIBUTED = "attributed"
    ANNOUNCED = "announced"
    JOINED = "joined"
    """One more item shows it."""
    RECOVERED = "recovered"
    """Some of its items pass again, or are not there any more."""
    FIXED = "fixed"
    """So do the last of them."""
    REOPENED = "reopened"
    INVALIDATED = "invalidated"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    LINKED = "linked"


def _stays(*states: State) -> dict[State | None, State]:
    return {state: state for state in states}


_TABLE: Mapping[Event, Mapping[State | None, State]] = MappingProxyType(
    {
        Event.OPENED: {None: State.SUSPECTED},
        Event.CONFIRMED: {State.SUSPECTED: State.CONFIRMED},
        Event.ATTRIBUTED: {State.CONFIRMED: State.ATTRIBUTED},
        # Of a suspicion nobody is told.
        Event.ANNOUNCED: {State.CONFIRMED: State.ANNOUNCED, State.ATTRIBUTED: State.ANNOUNCED},
        Event.JOINED: _stays(*OPEN, State.INVALID),
        Event.RECOVERED: _stays(*OPEN, State.INVALID),
        Event.FIXED: dict.fromkeys(OPEN, State.FIXED),
        Event.REOPENED: {State.FIXED: State.SUSPECTED},
        # What a person took back is not opened again by what made it: the next time is another incident.
        Event.INVALIDATED: dict.fromkeys([*OPEN, State.FIXED], State.INVALID),
        Event.ACKNOWLEDGED: _stays(*State),
        Event.MUTED: _stays(*State),
        Event.LINKED: _stays(*State),
    }
)


def after(state: State | None, event: Event) -> State | None:
    """Return the state that *event* leads to from *state* (None: there is no incident yet); None where it cannot be."""
    return _TABLE[event].get(state)


def raised(state: State, target: State) -> tuple[Event, ...]:
    """Return the events that lead from *state* up to *target*, one after the other; none where it is there or beyond.

    *target* is `suspected`, `confirmed` or `attributed`: what the evidence is good for.
    """
    steps = {State.SUSPECTED: Event.CONFIRMED, State.CONFIRMED: Event.ATTRIBUTED}
    events: list[Event] = []
    while state in steps and state != target:
        events.append(steps[state])
        state = _TABLE[steps[state]][state]
    return tuple(events) if state == target else ()
