"""Sends many rows to the database at once: tuples, without an object or a dictionary for each of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute, Session

ROWS_AT_ONCE = 5_000

Column = InstrumentedAttribute[Any]


def insert_rows(
    session: Session, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], *, pass_over: bool = False
) -> None:
    """Insert *rows*, each with values for *columns* of one table; with *pass_over* those that are there stay.

    Values go to the driver as they are: texts of strangers have to be `types.whole`.
    """
    if not rows:
        return
    table = columns[0].class_.__tablename__
    into = f"INSERT INTO {table} ({', '.join(column.key for column in columns)})"
    ending = " ON CONFLICT DO NOTHING" if pass_over else ""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # One statement with an array for each column: the driver's own `executemany` sends one for each row.
        arrays = ", ".join(f"%s::{_word(column)}[]" for column in columns)
        for chunk in chunks(rows, ROWS_AT_ONCE):
            values = tuple(map(list, zip(*chunk, strict=True)))
            # The names are our own tables'.
            connection.exec_driver_sql(f"{into} SELECT * FROM unnest({arrays}){ending}", values)  # noqa: S608
        return
    places = ", ".join("?" * len(columns))
    connection.exec_driver_sql(f"{into} VALUES ({places}){ending}", list(rows))


def new_numbers(session: Session, column: Column, count: int) -> Sequence[int]:
    """Return *count* numbers for rows that are inserted next, in a transaction that writes, with *column* their key."""
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(column.class_.__tablename__, column.key)
        wanted = func.generate_series(1, count).table_valued("number")
        return session.scalars(select(func.nextval(sequence)).select_from(wanted)).all()
    # There is one writer at a time.
    last = session.scalar(select(func.max(column))) or 0
    return range(last + 1, last + 1 + count)


def one_of(session: Session, column: Column, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that *column* is one of *values*, which go to the database as one parameter.

    With a parameter each, SQLAlchemy takes longer to write the statement than the database to answer it.
    """
    if session.get_bind().dialect.name == "postgresql":
        kind = postgresql.ARRAY(postgresql.BIGINT if _word(column) == "bigint" else Text)
        return column == any_(bindparam(None, list(values), kind))
    listed = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(listed.c.value))


def chunks(items: Collection[Any], size: int) -> Iterator[list[Any]]:
    """Yield *items* in lists of at most *size*."""
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def _word(column: Column) -> str:
    return "bigint" if isinstance(column.type, Integer) else "text"
