"""Decides how settings are written as TOML: strings, numbers, lists and tables, each key on a line of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping


def toml_text(values: Mapping[str, object]) -> str:
    """Return *values* as a TOML document; what is None is left out."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in values.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _key(key: str) -> str:
    return _text(key)


def _text(text: str) -> str:
    # JSON's strings are TOML's, but for one control character, and pairs of surrogates, which are not written here.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
