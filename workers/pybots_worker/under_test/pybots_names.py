"""Decides what a test is called in the results: what is asked for by name is found by the same name.

The master names tests as it reads a report (`pybots.results.junit`, `pybots.results.text`); this says the same
beforehand, and a test holds the two together. Standard library only, and works on every Python from 3.9.
"""

from __future__ import annotations

import hashlib
import re

NAME_CHARACTERS = 1000
_DIGEST_CHARACTERS = 16
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe_name(raw: str, characters: int = NAME_CHARACTERS) -> str:
    """Return what the results call a test that its report calls *raw*."""
    name = _UNSAFE.sub(_escaped, raw).strip() or "(without a name)"
    if len(name) <= characters:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return name[: characters - _DIGEST_CHARACTERS - 1] + "~" + digest


def junit_name(classname: str, name: str, file: str, pytest: bool) -> str:
    """Return what the results call a `<testcase>`; *pytest*: its suite is called so. *file* may be empty."""
    if not (pytest or file):
        return "%s.%s" % (classname, name) if classname else name
    if not classname:
        return file if file and _dotted(file) == name else _path(name)
    module = _dotted(file) if file else ""
    if module and (classname == module or classname.startswith(module + ".")):
        classes = classname[len(module) + 1 :]
        return "::".join([file] + (classes.split(".") if classes else []) + [name])
    return "%s::%s" % (_derived(classname), name)


def _dotted(file: str) -> str:
    dotted = file.replace("\\", "/").replace("/", ".")
    return dotted[: -len(".py")] if dotted.endswith(".py") else dotted


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _derived(classname: str) -> str:
    parts = classname.split(".")
    first = next((index for index, part in enumerate(parts) if part.lstrip("_")[:1].isupper()), len(parts))
    return "::".join([_path(".".join(parts[:first])), *parts[first:]]) if first else "::".join(parts)


def _escaped(match: re.Match[str]) -> str:
    return "\\u%04x" % ord(match.group())
