"""Decides how what a stranger's test runner wrote is made harmless and short."""

from __future__ import annotations

import hashlib
import re

# Control characters, separators and direction marks: each could make one name pass for another on a page.
_UNSAFE_IN_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# pytest writes the escape character as `#x1B` where XML does not allow it.
_COLOUR = re.compile("(?:\x1b|#x1B)\\[[0-9;]{0,20}[A-Za-z]")
_CONTROLS = bytes([*range(9), *range(11, 32), 127])
_DIGEST_LENGTH = 16


def safe_name(raw: str, length: int) -> str:
    """Return *raw* as a name of at most *length* visible characters, distinct where *raw* is."""
    visible = raw if raw.isprintable() else _UNSAFE_IN_NAME.sub(_escaped, raw)
    name = visible.strip() or "(without a name)"
    if len(name) <= length:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: length - _DIGEST_LENGTH - 1]}~{digest}"


def safe_text(raw: str) -> str:
    """Return *raw* without colours and carriage returns, other control characters replaced."""
    if raw.isascii() and "#x1B" not in raw:
        content = raw.encode()
        if len(content.translate(None, _CONTROLS)) == len(
            content
        ):  # nearly always, and quicker than a pattern
            return raw
    lines = _COLOUR.sub("", raw).replace("\r\n", "\n")
    return _UNSAFE_IN_TEXT.sub("\ufffd", lines)


def shortened(text: str, length: int) -> str:
    """Return the beginning of *text*, at most *length* characters."""
    return text if len(text) <= length else text[: length - 4] + " ..."


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"
