"""Decides how much of an earlier build of a tree can be used for the next one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_CONFIGURE_READS = re.compile(
    r"(^|/)(configure|configure\.ac|aclocal\.m4|config\.guess|config\.sub|install-sh|[^/]+\.in)$"
    r"|^Modules/(Setup[^/]*|makesetup)$"
)


@dataclass(frozen=True, slots=True)
class Built:
    """What the last good build in a tree was made from."""

    commit: str
    configure: tuple[str, ...]
    compiler: str
    """The compiler's version and the operator's flags, in one line."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next build has to do before it compiles."""

    clean: bool
    configure: bool


CLEAN = Plan(clean=True, configure=True)


def plan_build(last: Built | None, wanted: Built, changed: Iterable[str] | None) -> Plan:
    """Decide what to do anew; `changed` are the paths that differ between the two commits, None if unknown."""
    if last is None or changed is None or last.compiler != wanted.compiler:
        return CLEAN
    configure = last.configure != wanted.configure or any(map(_CONFIGURE_READS.search, changed))
    return Plan(clean=last.configure != wanted.configure, configure=configure)
