"""Keeps the last configuration that loaded, and reads it where farm.toml is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from pybots.config.files import read_bounded, write_atomically
from pybots.config.model import FarmConfiguration
from pybots.config.problems import ConfigurationError, Problem
from pybots.config.read import LARGEST, problems_beside, read_farm

SNAPSHOT = Path("last-good", "farm.json")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and why it is not the newest, where it is not."""

    configuration: FarmConfiguration
    problems: tuple[Problem, ...] = ()
    """What is wrong with farm.toml as it stands now."""
    from_last_good: bool = False
    good_since: datetime | None = None
    """Since when the last good configuration was the newest; None where farm.toml itself was read."""


class _Snapshot(BaseModel):
    """What is kept. farm.toml has nothing secret in it (`config.read` sees to that), so neither has this."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    since: AwareDatetime
    configuration: FarmConfiguration


def load(folder: Path) -> Loaded:
    """Return farm.toml in *folder*, or the last good configuration where it is broken.

    Raises ConfigurationError where neither can be used.
    """
    try:
        return Loaded(read_farm(folder))
    except ConfigurationError as error:
        broken = error.problems
    return load_kept(folder, broken)


def load_kept(folder: Path, broken: Sequence[Problem]) -> Loaded:
    """Return the last good configuration, because the newest is *broken*; raises ConfigurationError without one."""
    try:
        snapshot = _read(folder)
    except FileNotFoundError:
        raise ConfigurationError(broken) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError([*broken, _unusable(error)]) from None
    missing = problems_beside(snapshot.configuration, folder, str(SNAPSHOT))
    if missing:
        raise ConfigurationError([*broken, *missing])
    return Loaded(snapshot.configuration, tuple(broken), from_last_good=True, good_since=snapshot.since)


def remember(folder: Path, loaded: Loaded, now: datetime | None = None) -> None:
    """Keep *loaded* as the last good configuration; to be called once Buildbot accepted it too.

    A configuration that is kept already keeps the time since when it is good.
    """
    if loaded.from_last_good:
        return
    try:
        if _read(folder).configuration == loaded.configuration:
            return
    except (OSError, ValueError):
        pass  # none yet, or one that an older Pybots wrote: this one takes its place
    snapshot = _Snapshot(since=now or datetime.now(UTC), configuration=loaded.configuration)
    write_atomically(folder / SNAPSHOT, snapshot.model_dump_json(indent=1).encode())


def _read(folder: Path) -> _Snapshot:
    return _Snapshot.model_validate_json(read_bounded(folder / SNAPSHOT, 2 * LARGEST))


def _unusable(error: OSError | ValueError) -> Problem:
    reason = f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)
    return Problem(str(SNAPSHOT), None, "", f"the last good configuration cannot be used: {reason}")
