"""Runs `pybots demo` as a person would, and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYBOTS = str(Path(sys.executable).parent / "pybots")
DEMO_SECONDS = 2400


@dataclass(frozen=True)
class Demonstrated:
    """A demonstration that ended: its folder, its exit status, and what it wrote."""

    folder: Path
    status: int
    seconds: float
    facts: dict[str, Any]
    printed: str

    @property
    def repository(self) -> Path:
        """The CPython repository that it made or cloned."""
        own = self.folder / "demonstration"
        source: dict[str, str] = json.loads((own / "source.json").read_text())
        return own / source["git"]


def demonstrate(folder: Path, out: Path, *options: str) -> Demonstrated:
    """Run `pybots demo --once --json OUT --dir FOLDER`."""
    began = time.monotonic()
    done = subprocess.run(
        [PYBOTS, "demo", "--once", "--json", str(out), "--dir", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    printed = done.stdout + done.stderr
    keep = os.environ.get("PYBOTS_KEEP")
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        (Path(keep) / f"{out.stem}.log").write_text(printed)
    facts = json.loads(out.read_text()) if out.exists() else {}
    if keep and facts:
        (Path(keep) / out.name).write_text(out.read_text())
    return Demonstrated(folder, done.returncode, time.monotonic() - began, facts, printed)
