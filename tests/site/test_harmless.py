from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.site.harmless import bounded, bounded_line, visible, web_link


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with\ttab and\nline", "plain, with\ttab and\nline"),
        ("naïve ☃ 漢字 עברית", "naïve ☃ 漢字 עברית"),
        ("a\x00b\x07c\x1b[2J", "a␀b␇c␛[2J"),
        ("rub\x7fout", "rub␡out"),
        ("line\r\nline\rover", "line\nline␍over"),
        ("user\u202egnp.exe", "user⟨U+202E⟩gnp.exe"),
        ("\u2066isolated\u2069", "⟨U+2066⟩isolated⟨U+2069⟩"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("\ud800", "\ufffd"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_what_hides_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_hides_is_left(text: str) -> None:
    joiners = "\u200c\u200d"  # emoji and several scripts need them
    left = {c for c in visible(text) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left <= {"\n", "\t"}
    assert not {
        c for c in visible(text) if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF"}
    }
    assert not {c for c in visible(text) if unicodedata.bidirectional(c) in {"LRI", "RLI", "FSI", "PDI"}}
    assert not set("\u200b\u200e\u200f\u2060\ufeff") & set(visible(text).replace(joiners, ""))
    visible(text).encode()


def test_colours_go_and_lines_are_bounded() -> None:
    assert bounded("\x1b[1;31mFAILED\x1b[0m test") == "FAILED test"
    assert bounded("short\n" + "x" * 50, longest=10) == "short\nxxxxxxxxxx … (40 more characters)"
    assert bounded_line("x" * 10, longest=10) == "x" * 10


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.org/a?b#c", "https://example.org/a?b#c"),
        ("http://example.org", "http://example.org"),
        ("javascript:alert(1)", ""),
        ("JaVaScRiPt://example.org/%0aalert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.org", ""),
        ("https:", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_only_web_pages_are_linked(url: str, link: str) -> None:
    assert web_link(url) == link
