"""What the minifarm's tests share: a miniature trunk of a few commits, made once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from trunk import TrunkCommit, make_trunk

COLORSYS = (Path(os.__file__).parent / "colorsys.py").read_text()

HISTORY = [
    TrunkCommit("Begin", {"Misc/begin": "1\n"}),
    TrunkCommit("Explain colours", {"Doc/library/colorsys.rst": "Colours.\n"}),
    TrunkCommit("Change colorsys", {"Lib/colorsys.py": COLORSYS + "\nchanged_by_a_commit = True\n"}),
    TrunkCommit("Break the compiler's peace", {"Modules/broken.c": "int broken( {\n"}),
    TrunkCommit(
        "Mend it", {"Modules/broken.c": "int broken(void) { return 0; }\n", "Lib/colorsys.py": COLORSYS}
    ),
]


@pytest.fixture(scope="session")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The miniature trunk and its commits, oldest first."""
    path = tmp_path_factory.mktemp("trunk") / "cpython"
    return path, make_trunk(path, HISTORY)


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """Wheels of pytest and what it needs, fetched when the environment was made."""
    folder = Path(sys.prefix) / "wheelhouse"
    assert any(folder.glob("pytest-*.whl")), "make .venv fills .venv/wheelhouse"
    return folder
