"""Decides which interpreters a branch's new commits call for, and what they are called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pybots_worker.contract import InterpreterSpecification


@dataclass(frozen=True, slots=True)
class TrackName:
    """branch x variant x platform, by name."""

    branch: str
    variant: str
    platform: str

    def __str__(self) -> str:
        """As people write it: `main · default · linux-x86_64-glibc`."""
        return f"{self.branch} · {self.variant} · {self.platform}"


def tracks(branches: Sequence[str], variants: Sequence[str], platforms: Sequence[str]) -> list[TrackName]:
    """Return every track of a farm, in a stable order."""
    return [
        TrackName(branch, variant, platform)
        for branch in branches
        for variant in variants
        for platform in sorted(set(platforms))
    ]


def slug(text: str) -> str:
    """Return *text* as it can stand in addresses and file names; different texts stay different."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text)
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def interpreter_key(track: TrackName, commit: str) -> str:
    """Return the unique, address-safe key of *commit* (a sha) on *track*."""
    return f"{slug(track.branch)}~{track.variant}~{track.platform}~{commit[:16]}"


def trial_key(subject: str, number: int) -> str:
    """Return the key of the trial *number* of the interpreter whose key is *subject*."""
    return f"{subject}~trial-{number}"


def specification_for(
    track: TrackName,
    commit: str,
    *,
    git: str,
    variants: Mapping[str, Sequence[str]],
    key: str = "",
    clean: bool = False,
) -> InterpreterSpecification:
    """Return what a worker is asked to build; *git* is the address at which the worker finds the trunk.

    A trial has a *key* of its own, and wants nothing of an earlier build to serve (*clean*).
    """
    return InterpreterSpecification(
        key=key or interpreter_key(track, commit),
        clean=clean,
        git=git,
        commit=commit,
        branch=track.branch,
        variant=track.variant,
        configure=list(variants.get(track.variant, ())),
    )
