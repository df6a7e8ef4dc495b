"""Decides how text that strangers wrote is shown: nothing in it may hide, reorder or drown the page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST_LINE = 2000
# Terminal colours say nothing on a page; every other control character is worth seeing.
_COLOURS = re.compile(r"\x1b\[[0-9;:]{0,40}m")


def _pictures() -> dict[int, str]:
    """Map each character that hides or reorders text to one that shows."""
    shown = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    shown[0x7F] = "\N{SYMBOL FOR DELETE}"
    hidden = [
        *range(0x80, 0xA0),  # C1 controls: some terminals obey them
        0x061C,
        0x180E,
        0x200B,
        *range(0x200E, 0x2010),  # marks of direction
        *range(0x2028, 0x202F),  # line separators, embeddings and overrides
        *range(0x2060, 0x2070),  # invisible operators, isolates
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),  # tags: a whole alphabet that cannot be seen
    ]
    shown.update({code: f"⟨U+{code:04X}⟩" for code in hidden})
    shown.update(dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"))
    return shown


_SHOWN = _pictures()


def visible(text: str) -> str:
    """Return *text* with control, direction and invisible characters replaced by ones that show."""
    return text.replace("\r\n", "\n").translate(_SHOWN)


def without_colours(text: str) -> str:
    """Return *text* without a terminal's colour sequences."""
    return _COLOURS.sub("", text)


def bounded_line(line: str, longest: int = LONGEST_LINE) -> str:
    """Return *line*, or its first *longest* characters and how many were left out."""
    if len(line) <= longest:
        return line
    return f"{line[:longest]} … ({len(line) - longest:,} more characters)"


def bounded(text: str, longest: int = LONGEST_LINE) -> str:
    """Return *text* for a page or a terminal: visible, without colours, each line bounded."""
    lines = visible(without_colours(text)).split("\n")
    return "\n".join(bounded_line(line, longest) for line in lines)


def web_link(url: str) -> str:
    """Return *url* if it leads to a web page, else an empty text: `javascript:` is a link too."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""
