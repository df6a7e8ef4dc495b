from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pybots.site.log import decompress, harmless_log, part, tail


def test_the_tail_has_the_numbers_of_the_whole() -> None:
    shown = tail("a\nb\nc\nd\n", 2)
    assert (shown.lines, shown.total, shown.first, shown.last) == (((3, "c"), (4, "d")), 4, 3, 4)


@pytest.mark.parametrize(
    ("first", "count", "numbers"), [(1, 2, [1, 2]), (3, 9, [3, 4]), (0, 1, [1]), (-5, 1, [1]), (99, 5, [4])]
)
def test_a_part(first: int, count: int, numbers: list[int]) -> None:
    assert [number for number, _ in part("a\nb\nc\nd", first, count).lines] == numbers


def test_an_empty_log_has_no_lines() -> None:
    shown = tail("", 5)
    assert (shown.lines, shown.total, shown.first, shown.last) == ((), 0, 0, 0)


def test_a_bomb_is_cut_short() -> None:
    bomb = zstandard.compress(b"0" * 50_000_000)
    assert len(bomb) < 10_000
    text = decompress(bomb, most=1000)
    assert text == "0" * 1000 + "\n[the rest is not shown: more than 1,000 bytes]"


def test_what_is_no_zstandard_says_so() -> None:
    assert "cannot be read" in decompress(b"\x00\x01 not compressed at all")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_text_that_can_be_sent(data: bytes) -> None:
    harmless_log(decompress(zstandard.compress(data))).encode()
    harmless_log(decompress(data)).encode()
