"""Decides whether a worker may have project runs, from the line in which it says what its sandbox is."""

from __future__ import annotations

from typing import NamedTuple

INFO = "sandbox"
"""The name of that line in what a worker sends when it connects."""
_MOST = 300


class Sandbox(NamedTuple):
    """Whether a worker takes runs, and what the page says of it; empty where all is as it should be."""

    takes_runs: bool
    said: str


def sandbox_of(told: object) -> Sandbox:
    """Read what a worker told: `yes`, `allowed: REASON` (its owner did), `no: REASON`; it may have sent anything.

    A worker that tells nothing is of another version of Pybots; it refuses by itself what it cannot shut in.
    """
    word, _, reason = str(told or "").partition(":")
    reason = " ".join(reason.split())[:_MOST]
    if word == "no":
        return Sandbox(takes_runs=False, said=f"takes no project runs: {reason}")
    if word == "allowed":
        return Sandbox(
            takes_runs=True, said=f"runs projects without a sandbox, as its owner allowed: {reason}"
        )
    return Sandbox(takes_runs=True, said="")
