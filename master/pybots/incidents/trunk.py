"""Decides whose fault it is that an interpreter was not made: the commit's, the worker's, or nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pybots.runs.status import Role
from pybots.verdicts.error_lines import build_errors
from pybots_worker.contract import InterpreterStatus

TROUBLE = frozenset(
    {
        InterpreterStatus.CONFIGURE_FAILED,
        InterpreterStatus.COMPILE_FAILED,
        InterpreterStatus.INSTALL_FAILED,
        InterpreterStatus.PROVE_FAILED,
    }
)
"""What a commit can be at fault for. Every other end is the farm's, the network's or the worker's."""
MOST_CONFIRMATIONS = 3
"""A commit that is built again so often, and is made now and then, is nobody's."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An interpreter that was not made."""

    status: str
    worker: str
    confirmations: int = 0
    """How often it has been built again, in all its life."""
    has_good: bool = True
    """Whether one before it on its track was proven."""
    others: Sequence[str] = ()
    """Other machines' workers of its platform that make interpreters and that have not failed at it before."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A finished clean build on the worker that failed, since it failed."""

    role: Role
    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """A clean build is wanted, on the same worker."""

    role: Role


@dataclass(frozen=True, slots=True)
class BuildAgain:
    """The interpreter itself is wanted again: nothing is said of its commit yet."""

    reason: str
    elsewhere: bool
    """Not on the worker that failed; else anywhere."""
    fault: str = ""
    """What goes into that worker's record."""


class Said(StrEnum):
    """What can be said in the end."""

    COMMIT = "commit"
    """A commit after the last good one is at fault."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Judged:
    """The end, with the reason in a sentence."""

    said: Said
    reason: str
    fault: str = ""
    """What goes into the worker's record."""


def judge(failed: Failed, tried: Sequence[Tried]) -> Try | BuildAgain | Judged:
    """Return what is wanted next, or what is said, of an interpreter that was not made; nothing may be under way.

    The commit is built again clean, and then the last good one, on the same worker. If both fail, it is the worker.
    """
    if failed.status not in TROUBLE:
        return Judged(Said.NOTHING, f"{failed.status} is no commit's fault")
    if not failed.has_good:
        return Judged(
            Said.NOTHING, "no commit before it was proven on this track: there is nothing to compare with"
        )
    confirmation = _last(tried, Role.CONFIRMATION)
    if confirmation is None:
        return _again(failed)
    if confirmation.status == InterpreterStatus.PROVEN:
        return BuildAgain(f"built clean on {failed.worker} once more, it was made", elsewhere=False)
    if confirmation.status not in TROUBLE:
        return _elsewhere(failed, f"{failed.worker} could not build it again: {confirmation.status}")
    return _with_control(failed, _last(tried, Role.CONTROL))


def same_trouble(status: str, log_tail: str, other_status: str, other_log_tail: str) -> bool:
    """Say whether two interpreters were not made for what may be one reason.

    The phase is the same, and where both logs tell of errors, they have one in common.
    """
    if status != other_status:
        return False
    mine, others = set(build_errors(log_tail)), set(build_errors(other_log_tail))
    return bool(mine & others) or not (mine and others)


def _again(failed: Failed) -> Try | Judged:
    if failed.confirmations >= MOST_CONFIRMATIONS:
        many = (
            f"built {failed.confirmations} times more, it was made now and then, or by no worker to its end"
        )
        return Judged(Said.NOTHING, many)
    return Try(Role.CONFIRMATION)


def _with_control(failed: Failed, control: Tried | None) -> Try | BuildAgain | Judged:
    if control is None:
        return Try(Role.CONTROL)
    if control.status == InterpreterStatus.PROVEN:
        return Judged(
            Said.COMMIT,
            f"On {failed.worker}, from a clean tree: {failed.status} again; the last good commit is made and proven.",
        )
    if control.status in TROUBLE:
        fault = (
            f"the last good commit cannot be made there any more either: {control.status}: {control.detail}"
        )
        return _elsewhere(failed, f"{failed.worker} is at fault: {fault}", fault)
    return _elsewhere(failed, f"{failed.worker} could not build the last good commit: {control.status}")


def _elsewhere(failed: Failed, reason: str, fault: str = "") -> BuildAgain | Judged:
    if failed.others:
        return BuildAgain(reason, elsewhere=True, fault=fault)
    return Judged(Said.NOTHING, f"{reason}; no other worker could build it", fault)


def _last(tried: Sequence[Tried], role: Role) -> Tried | None:
    return next((one for one in reversed(tried) if one.role is role), None)
