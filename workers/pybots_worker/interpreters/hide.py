"""Has no installed text name the tree in which it was built, which is another one on each worker."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pybots_worker.interpreters.phases import Commands

SOURCE = "/pybots/source"
"""Where every interpreter says that it was built: the same for every worker and every tree."""


def hide_tree(commands: Commands, prefix: Path, source: Path) -> None:
    """Have no installed text name the tree; what else names it is logged.

    Only before the byte-compiling: it writes sources. Raises OSError.
    """
    for path in sorted(path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()):
        content = path.read_bytes()
        if os.fsencode(source) not in content:
            continue
        hidden = hide_source(content, source)
        if hidden == content:
            commands.say(f"{path.relative_to(prefix)} names {source}: its digest differs from tree to tree.")
        else:
            write_anew(path, hidden, path.stat().st_mode & 0o777)


def hide_source(content: bytes, source: Path) -> bytes:
    """Return a text as if it came from SOURCE; what is no text stays as it is."""
    return content if b"\0" in content else content.replace(os.fsencode(source), SOURCE.encode())


def write_anew(path: Path, content: bytes, mode: int) -> None:
    """Write a new file in place of the old one, to which others have hard links. Raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    beside.write_bytes(content)
    beside.chmod(mode)
    beside.replace(path)
