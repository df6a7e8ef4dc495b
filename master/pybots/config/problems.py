"""Says what is wrong in a TOML file that was read into a pydantic model: where, what, and what to do."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from pybots.config.toml_keys import (
    Table,
    described,
    given,
    quoted,
    subject,
    table_at,
    table_name,
    tables_with,
    wanted,
)
from pybots.config.toml_lines import KeyPath, line_of

MOST = 50
"""More problems than this in one file tell nobody anything."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file.

    `where` is a dotted path (`worker[1].platform`); `line` is None where it is the file as a whole.
    """

    file: str
    line: int | None
    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        """As compilers write it: `farm.toml:12: what; hint`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}; {self.hint}" if self.hint else f"{place}: {self.what}"


class ConfigurationError(Exception):
    """A file cannot be used; `problems` says why, and is never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def inconsistent(what: str, hint: str, *at: str | int) -> PydanticCustomError:
    """Return what a model's validator raises: *at* is the key to blame, counted from that model."""
    # pydantic fills the template in from the context; the texts themselves may hold braces.
    return PydanticCustomError("inconsistent", "{what}", {"what": what, "hint": hint, "at": at})


def of_syntax(error: tomllib.TOMLDecodeError, file: str, text: str) -> Problem:
    """Return what tomllib said of *text*, with the line that it named."""
    said = str(error)
    match = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if match is None:
        return Problem(file, text.count("\n") + 1, "", said.replace(" (at end of document)", ", at the end"))
    return Problem(
        file, int(match[1]), "", f"{said[: match.start()]}, at column {match[2]}", "this is not TOML"
    )


def of_validation(
    error: ValidationError, model: type[BaseModel], file: str, lines: Mapping[KeyPath, int]
) -> list[Problem]:
    """Return one problem for each error of reading *file* as *model*, in line order; at most MOST."""
    found = [_problem(details, model, file, lines) for details in error.errors(include_url=False)[:MOST]]
    return sorted(found, key=lambda problem: problem.line or 0)


def at(file: str, lines: Mapping[KeyPath, int], path: KeyPath, what: str, hint: str = "") -> Problem:
    """Return a problem of the key at *path*."""
    return Problem(file, line_of(lines, path), dotted(path), what, hint)


def dotted(path: KeyPath) -> str:
    """Return *path* as text: `worker[1].platform`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the one of *known* that *name* was most likely meant to be, if any is near."""
    plain = {_plain(item): item for item in known}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _problem(
    details: ErrorDetails, model: type[BaseModel], file: str, lines: Mapping[KeyPath, int]
) -> Problem:
    context: dict[str, Any] = details.get("ctx", {})
    path = tuple(part for part in details["loc"] if part != "[key]") + tuple(context.get("at", ()))
    what, hint = _said(details, path, context, model)
    return at(file, lines, path, what, hint)


def _said(
    details: ErrorDetails, path: KeyPath, context: Mapping[str, Any], model: type[BaseModel]
) -> tuple[str, str]:
    kind = details["type"]
    if kind == "inconsistent":
        return str(context["what"]), str(context["hint"])
    if kind == "extra_forbidden":
        return _unknown(path, model)
    if kind == "missing":
        return _missing(path, model)
    value = f"{subject(path)} is {given(details['input'])}"
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return value, f"{wanted(kind)} is wanted here"
    if kind in {"enum", "literal_error"}:
        expected = str(context["expected"])
        near = nearest(str(details["input"]), re.findall(r"'([^']*)'", expected))
        return value, f"did you mean {quoted(near)}?" if near else f"it must be {expected}"
    if kind == "string_pattern_mismatch":
        return value, _described(path, model) or f"it must match {context['pattern']}"
    return value, details["msg"].removeprefix("Value error, ").replace("Input should", "it must").replace(
        "should", "must"
    )


def _unknown(path: KeyPath, model: type[BaseModel]) -> tuple[str, str]:
    name, table = str(path[-1]), table_at(model, path[:-1])
    what = f"unknown key {quoted(name)} {table_name(path[:-1], 'in')}"
    known = list(table.fields) if table else []
    near = nearest(name, known)
    if near is not None:
        return what, f"did you mean {quoted(near)}?"
    elsewhere = tables_with(model, name)
    if elsewhere:
        return what, f"it belongs in {' or '.join(elsewhere)}"
    return what, f"known here: {', '.join(known)}"


def _missing(path: KeyPath, model: type[BaseModel]) -> tuple[str, str]:
    name = str(path[-1])
    table = table_at(model, path[:-1])
    inner = table_at(model, path)
    if inner is not None:
        header = f"[[{name}]]" if inner.repeated else f"[{name}]"
        needed = ", ".join(quoted(key) for key in inner.required)
        return f"there is no {header} table", f"add one; it needs {needed}"
    return f"{table_name(path[:-1], '')} needs {quoted(name)}".lstrip(), _purpose(table, name)


def _purpose(table: Table | None, name: str) -> str:
    description = table.descriptions.get(name, "") if table else ""
    return description.split("\n")[0].rstrip(".") or f"add {name} = ..."


def _described(path: KeyPath, model: type[BaseModel]) -> str:
    description = described(model, path)
    return f"allowed: {description[0].lower()}{description[1:].rstrip('.')}" if description else ""
