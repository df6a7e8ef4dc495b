"""Writes what a replay or a demonstration found: the JSON object of the design page's contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pybots.config.files import write_atomically


def write_out(path: Path, answer: Mapping[str, Any]) -> None:
    """Write *answer* to the file at *path*, whole or not at all."""
    write_atomically(path.absolute(), (json.dumps(answer, indent=1) + "\n").encode())
