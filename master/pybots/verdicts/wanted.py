"""Decides how the requests of many items become few trials: what two of them ask alike is one run for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pybots.verdicts.evidence import WHOLE_RUN, Comparison, Kind, WantedTrial
from pybots.verdicts.item import Request

MOST_TESTS_ALONE = 5_000
"""So many tests can be named to a worker (`RunSpecification.tests`)."""

_IDLE = frozenset({Kind.TIMED_OUT})


@dataclass
class _Slot:
    request: Request
    apart: str
    """What has to run by itself says so by its name; the others share."""
    items: list[str] = field(default_factory=list)


def wanted(
    comparison: Comparison, home: str, requests: Mapping[str, Sequence[Request]], first_serial: int
) -> tuple[WantedTrial, ...]:
    """Return trials that answer *requests*, by item, each item's in its own order, with serials from *first_serial*."""
    slots: list[_Slot] = []
    for item in sorted(requests):
        position = 0
        for request in requests[item]:
            position = _place(slots, position, item, request) + 1
    idle = any(difference.kind in _IDLE for difference in comparison.differences)
    return tuple(_trial(home, slot, first_serial + number, idle=idle) for number, slot in enumerate(slots))


def _place(slots: list[_Slot], position: int, item: str, request: Request) -> int:
    apart = "whole run" if item == WHOLE_RUN and request.alone else ""
    for number in range(position, len(slots)):
        slot = slots[number]
        room = len(slot.items) < MOST_TESTS_ALONE or not request.alone
        if slot.request == request and slot.apart == apart and room:
            slot.items.append(item)
            return number
    slots.append(_Slot(request, apart, [item]))
    return len(slots) - 1


def _trial(home: str, slot: _Slot, serial: int, *, idle: bool) -> WantedTrial:
    request = slot.request
    return WantedTrial(
        back=request.back,
        items=tuple(slot.items),
        alone=request.alone,
        serial=serial,
        worker="" if request.elsewhere else home,
        not_on=(home,) if request.elsewhere else (),
        machine_idle=idle,
    )
