"""Names the tables, keys and values of a TOML file in words, from the pydantic model that reads it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pybots.config.toml_lines import KeyPath

_WANTED = {
    "string": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a table",
    "date": "a date like 2026-12-31, without quotes",
    "model": "a table",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a model describes: its keys, and what they are for."""

    fields: tuple[str, ...]
    required: tuple[str, ...]
    descriptions: dict[str, str]
    repeated: bool
    """Written as `[[name]]`."""


def table_at(model: type[BaseModel], path: KeyPath) -> Table | None:
    """Return the table at *path*, which may have indices into arrays of tables; None where there is none."""
    plain = _plain(_annotation(model, path))
    repeated = get_origin(plain) is list
    inner = _plain(get_args(plain)[0]) if repeated else plain
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        return None
    fields = inner.model_fields
    return Table(
        tuple(fields),
        tuple(name for name, field in fields.items() if field.is_required()),
        {name: field.description or "" for name, field in fields.items()},
        repeated,
    )


def tables_with(model: type[BaseModel], key: str) -> list[str]:
    """Return the names of the tables of *model* that know *key*."""
    return [
        f"[{table_name(path, '')}]" if table.repeated else table_name(path, "")
        for path, table in tables_of(model)
        if key in table.fields
    ]


def tables_of(model: type[BaseModel], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Table]]:
    """Yield every table of *model* with its path; in an array of tables the path has no index."""
    table = table_at(model, path)
    if table is None:
        return
    yield path, table
    inner = model_at(model, path)
    for name in table.fields:
        for below, found in tables_of(inner, (name,)):
            yield (*path, *below), found


def table_name(path: KeyPath, before: str) -> str:
    """Return how a person calls the table at *path*: `in [limits]`, `in the second [[worker]]`."""
    lead = f"{before} " if before else ""
    if not path:
        return f"{'at' if before else ''} the top level".strip()
    if isinstance(path[-1], int):
        return f"{lead}[[{_dotted(path[:-1])}]] number {path[-1] + 1}"
    return f"{lead}[{_dotted(path)}]"


def subject(path: KeyPath) -> str:
    """Return how a person calls the value at *path*: "item 2 of `command` in [test]"."""
    if not path:
        return "the file"
    last = max((index for index, part in enumerate(path) if isinstance(part, str)), default=0)
    items = "".join(f"item {int(part) + 1} of " for part in reversed(path[last + 1 :]))
    return f"{items}{quoted(str(path[last]))} {table_name(path[:last], 'in')}"


def given(value: Any) -> str:
    """Return a bounded description of a value in a TOML file, as its writer sees it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 64:
        # Python refuses to write out a number of many thousand digits.
        return "a very large number"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f'the string "{_printable(value)}"' if value else "an empty string"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "a table"
    return f"the date or time {value}"


def wanted(error_type: str) -> str:
    """Return what pydantic wanted, from the name of its error (`int_type`, `float_parsing`)."""
    return _WANTED.get(error_type.split("_", maxsplit=1)[0], "something else")


def quoted(name: str) -> str:
    """Return *name* bounded and in backquotes."""
    return f"`{_printable(name)}`"


def _printable(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return "".join(character if character.isprintable() else "?" for character in shown)


def _dotted(path: KeyPath) -> str:
    return ".".join(_printable(part) for part in path if isinstance(part, str))


def described(model: type[BaseModel], path: KeyPath) -> str:
    """Return what *model* says of the value at *path*; empty where it says nothing."""
    table = table_at(model, path[:-1])
    if table and path[-1] in table.fields:
        return table.descriptions[str(path[-1])]
    return next((item.description for item in _metadata(model, path) if item.description), "")


def _metadata(model: type[BaseModel], path: KeyPath) -> list[FieldInfo]:
    annotation = _annotation(model, path)
    noted = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return [item for item in noted if isinstance(item, FieldInfo)]


def _annotation(model: type[BaseModel], path: KeyPath) -> Any:
    annotation: Any = model
    for part in path:
        annotation = _step(_plain(annotation), part)
    return annotation


def _plain(annotation: Any) -> Any:
    """Return *annotation* without None, and without what is noted on it."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return _plain(next(arg for arg in get_args(annotation) if arg is not type(None)))
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    return annotation


def _step(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(annotation)
    if get_origin(annotation) is list and isinstance(part, int):
        return arguments[0]
    return arguments[1] if get_origin(annotation) is dict else None


def model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model of the table at *path*, which has to be one that `tables_of` yields."""
    annotation = _plain(_annotation(model, path))
    inner: type[BaseModel] = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return inner
