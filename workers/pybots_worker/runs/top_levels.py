"""Looks at an environment from outside: what can be imported in it, and which distribution brought that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pybots_worker.runs.installed import Distribution, distributions, recorded_files
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.plain import read_plain

MOST_NAMES = 5_000
MOST_FILES = 300_000
"""Of all distributions together."""
_NAME_BYTES = 100_000
_LONGEST = 100
_CODE = re.compile(r"\.(?:py|pyi|pyc|so|pyd|dylib)$")
_TOOLS = frozenset({"pip", "setuptools", "wheel"})


def top_levels(venv: Path) -> dict[str, str]:
    """Map first names of what can be imported to the name of the distribution that brought it.

    Where several share a name (`zope`), it is that of the one with most files, and the names below it are there too
    (`zope.interface`). Whatever was made of the environment, there is an answer: what cannot be read is left out.
    """
    try:
        found = distributions(venv)
    except (OSError, RunEndedError):
        return {}
    brought: dict[str, Counter[str]] = {}
    left = MOST_FILES
    for distribution in found:
        names = list(islice(_names(distribution), left))
        left -= len(names)
        for name in names:
            for each in _with_parent(name):
                brought.setdefault(each, Counter())[distribution.name] += 1
    shared = {name for name, owners in brought.items() if "." not in name and len(owners) > 1}
    wanted = (name for name in sorted(brought) if "." not in name or name.partition(".")[0] in shared)
    return {name: _most(brought[name]) for name in islice(wanted, MOST_NAMES)}


def _most(owners: Counter[str]) -> str:
    return min(owners, key=lambda name: (-owners[name], name in _TOOLS, name))[:_LONGEST]


def _with_parent(name: str) -> Iterable[str]:
    first, dot, _ = name.partition(".")
    return (first, name) if dot else (first,)


def _names(distribution: Distribution) -> Iterator[str]:
    """The first one or two names of each file with code in it; and what `top_level.txt` says."""
    packages = distribution.info.parent
    seen = False
    for file in recorded_files(distribution):
        path = Path(file)
        if not _CODE.search(path.name) or not path.is_relative_to(packages):
            continue
        parts = [part.partition(".")[0] for part in path.relative_to(packages).parts[:2]]
        if parts[-1] in ("__init__", "__pycache__"):
            parts.pop()
        if (
            parts
            and parts[0] != "__pycache__"
            and all(part.isidentifier() and len(part) <= _LONGEST for part in parts)
        ):
            seen = True
            yield ".".join(parts)
    if not seen:
        yield from _told(distribution.info)


def _told(info: Path) -> list[str]:
    try:
        lines = read_plain(info, "top_level.txt", _NAME_BYTES).decode("utf-8", "replace").split()
    except OSError:
        return []
    return [line for line in lines if line.isidentifier() and len(line) <= _LONGEST]
