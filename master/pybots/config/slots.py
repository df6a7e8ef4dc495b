"""Decides what a machine's Buildbot workers are called: one a slot."""

from __future__ import annotations

from typing import Protocol


class Machine(Protocol):
    """What a worker's section of farm.toml has."""

    @property
    def name(self) -> str:
        """The machine's name."""

    @property
    def slots(self) -> int:
        """How many things it runs at once."""


def slots(machine: Machine) -> list[str]:
    """Return the names of *machine*'s Buildbot workers: its own, or NAME-1, NAME-2, ..."""
    if machine.slots == 1:
        return [machine.name]
    return [f"{machine.name}-{number}" for number in range(1, machine.slots + 1)]
