"""Shows an installed tree at another path, by hard links: at once, and without writing what it holds anew."""

from __future__ import annotations

import os
from pathlib import Path


def link_tree(tree: Path, destination: Path) -> None:
    """Make `destination`, which must not exist, look like `tree`; both are on one disk.

    The folders are new, and read-only. Whoever writes into a file of one writes into both: the next build sees that,
    by the digest of what is installed, and does not build upon it. Raises OSError.
    """
    for folder, folders, files in os.walk(tree):
        beside = destination / Path(folder).relative_to(tree)
        beside.mkdir()
        for name in [*folders, *files]:
            path = Path(folder, name)
            if path.is_symlink():
                (beside / name).symlink_to(path.readlink())
            elif name in files:
                os.link(path, beside / name)
    for folder, _folders, _files in os.walk(destination):
        Path(folder).chmod(0o555)
