"""Decides whether this machine has the LLVM with which a commit builds its experimental JIT compiler."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

_OPTION = re.compile(r"--enable-experimental-jit(=(?P<value>.*))?")
_WITHOUT_LLVM = ("no", "interpreter")
_VERSION = re.compile(r"""^_LLVM_VERSION\s*=\s*["']?(\d+)["']?\s*$""", re.MULTILINE)
_TOOLS = ("clang", "llvm-readobj")
"""What Tools/jit calls; it looks for each by its own name first, then with the version behind it."""

Ask = Callable[[str], str]
"""Returns what a program prints for `--version`; an empty text where there is none."""


def what_is_lacking(source: Path, configure: Sequence[str], ask: Ask) -> str:
    """Say what the tree at `source` needs for these options and this machine lacks; empty where nothing is.

    A version of Tools/jit that we cannot read lacks nothing: then configure or make has the word. Raises OSError.
    """
    if not wants_llvm(configure):
        return ""
    try:
        version = llvm_version((source / "Tools" / "jit" / "_llvm.py").read_text("utf-8", "replace"))
    except FileNotFoundError:
        return ""
    lacking = [tool for tool in _TOOLS if version and not _is_there(tool, version, ask)]
    return f"needs {' and '.join(f'{tool} {version}' for tool in lacking)}" if lacking else ""


def wants_llvm(configure: Sequence[str]) -> bool:
    """Say whether these options build a JIT; of several, configure takes the last."""
    found = [match for option in configure if (match := _OPTION.fullmatch(option))]
    return bool(found) and found[-1]["value"] not in _WITHOUT_LLVM


def llvm_version(text: str) -> str:
    """Return the version that Tools/jit/_llvm.py names; empty where it names none."""
    found = _VERSION.search(text)
    return found[1] if found else ""


def _is_there(tool: str, version: str, ask: Ask) -> bool:
    """As Tools/jit judges it; Apple's numbers are others than LLVM's."""
    pattern = re.compile(rf"(?<!Apple )(LLVM|clang) version\s+{version}\.\d+\.\d+")
    return any(pattern.search(ask(name)) for name in (tool, f"{tool}-{version}"))
