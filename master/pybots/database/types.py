"""Column types that SQLite and PostgreSQL both keep faithfully."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

# PostgreSQL refuses the first in a text, and no encoding of a text has the others.
_NOT_IN_TEXT = re.compile("[\x00\ud800-\udfff]")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC; a naive one is an error, never a guess."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; convert the others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"a time without a zone cannot be stored: {value!r}"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC; SQLite hands back naive ones."""
        if value is None:
            return None
        result: datetime = value
        return result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)


def whole(text: str) -> str:
    """Return *text* as it can be kept; what most texts are, ASCII without a NUL, costs next to nothing."""
    if text.isascii() and "\0" not in text:
        return text
    return _NOT_IN_TEXT.sub("\ufffd", text)


class _Whole(TypeDecorator[str]):
    """A text without NUL characters and halves of surrogate pairs: U+FFFD stands for them, in questions too."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be kept."""
        return value if value is None else whole(value)


class String(_Whole):
    """A text of at most so many characters; whoever saves it bounds it, PostgreSQL refuses longer ones."""

    impl = sqlalchemy.String
    cache_ok = True


class Text(_Whole):
    """A text of any length."""

    impl = sqlalchemy.Text
    cache_ok = True
