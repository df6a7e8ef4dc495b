from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots.config.toml_lines import KeyPath, line_of, lines_of

TEXT = '''# [not.a.table]
top = 1   # other = 2
"quoted key" = """
[fake]
key = 1
"""
a.b.c = "x # no comment"

[test]  # [[really]]
command = [
    "python",  # "two",
    "[x]",
    ["nested", { deep = 1 }],
]
'literal.dotted'.x = \'\'\'
]
\'\'\'

[[worker]]
name = "one"
[worker.more]
x = 1

[[worker]]
name = "two"
'''

EXPECTED: dict[KeyPath, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("a",): 7,
    ("a", "b"): 7,
    ("a", "b", "c"): 7,
    ("test",): 9,
    ("test", "command"): 10,
    ("test", "command", 0): 11,
    ("test", "command", 1): 12,
    ("test", "command", 2): 13,
    ("test", "command", 2, 0): 13,
    ("test", "command", 2, 1): 13,
    ("test", "command", 2, 1, "deep"): 13,
    ("test", "literal.dotted"): 15,
    ("test", "literal.dotted", "x"): 15,
    ("worker",): 19,
    ("worker", 0): 19,
    ("worker", 0, "name"): 20,
    ("worker", 0, "more"): 21,
    ("worker", 0, "more", "x"): 22,
    ("worker", 1): 24,
    ("worker", 1, "name"): 25,
}


def paths_in(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Every path that tomllib sees."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {path} if path else set()
    for key, item in inside:
        found |= paths_in(item, (*path, key))
    return found


def test_every_form_has_its_line() -> None:
    assert lines_of(TEXT) == EXPECTED
    assert paths_in(tomllib.loads(TEXT)) == set(EXPECTED)


def test_windows_line_ends() -> None:
    assert lines_of(TEXT.replace("\n", "\r\n")) == EXPECTED


def test_a_header_after_its_parts_is_the_tables_line() -> None:
    assert lines_of("[a.b]\nx = 1\n[a]\ny = 1\n")[("a",)] == 3


@pytest.mark.parametrize(
    ("path", "line"),
    [(("worker", 1, "platform"), 24), (("test", "command", 9), 10), (("nothing",), None), ((), None)],
)
def test_what_is_missing_is_placed_by_what_is_around_it(path: KeyPath, line: int | None) -> None:
    assert line_of(EXPECTED, path) == line


@pytest.mark.parametrize(
    "end", ["x = [1, ", "x = {a = ", '"open', "[", "x = '''", "= 3", "x = " + "[" * 5000]
)
def test_broken_text_keeps_what_came_before(end: str) -> None:
    lines = lines_of("a = 1\n" + end)
    assert lines[("a",)] == 1


KEYS = st.sampled_from(["a", "b", "c-d", '"q k"', "'l.k'", '"\\u0061b"', '"[t]"', '"x = 1"', '"#"'])
STRINGS = st.sampled_from(
    [
        '"x"',
        "'y'",
        '"""\n[t]\na = 1\n"""',
        "'''\n#\n]'''",
        '"""a\\"""b"""',
        '""""q"""""',
        '"\\\\"',
        "''",
        '""""""',
    ]
)
SCALARS = STRINGS | st.sampled_from(["1", "-2.5e3", "true", "1979-05-27T07:32:00Z", "07:32:00", "inf"])
GAPS = st.sampled_from(["", " ", "\n", " # ] , }\n", "\n\n\t"])


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    parts = [draw(GAPS) + item + draw(GAPS) for item in draw(st.lists(items, max_size=3))]
    return "[" + ",".join(parts) + draw(st.sampled_from(["", ","] if parts else [""])) + draw(GAPS) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    keys = draw(st.lists(KEYS, max_size=3, unique=True))
    return "{ " + ", ".join(f"{key} = {draw(items)}" for key in keys) + " }"


VALUES = st.recursive(SCALARS, lambda items: arrays(items) | inline_tables(items), max_leaves=6)
DOTTED = st.lists(KEYS, min_size=1, max_size=3).map(".".join)
STATEMENTS = st.one_of(
    st.tuples(DOTTED, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    DOTTED.map(lambda key: f"[{key}]"),
    DOTTED.map(lambda key: f"[[ {key} ]]  # [x]"),
    st.sampled_from(["# a = 1", "", "  "]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STATEMENTS, max_size=12))
def test_agrees_with_tomllib_on_any_document(statements: list[str]) -> None:
    """Every path that tomllib sees has a line, no other has, and it is that of the statement that made it."""
    kept: list[str] = []
    starts: dict[KeyPath, int] = {}
    for statement in statements:
        before = "\n".join(kept)
        try:
            seen = paths_in(tomllib.loads("\n".join([*kept, statement])))
        except tomllib.TOMLDecodeError:
            continue
        first = before.count("\n") + 2 if kept else 1
        kept.append(statement)
        for path in seen:
            starts.setdefault(path, first)
    lines = lines_of("\n".join(kept))
    assert set(lines) == set(starts)
    last = "\n".join(kept).count("\n") + 1
    for path, line in lines.items():
        assert starts[path] <= line <= last


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_never_fails_on_any_text(text: str) -> None:
    lines = lines_of(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
