"""A trunk and a worker's folders, in which tests have interpreters made."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trunk import TrunkCommit, add_commits, make_trunk

from pybots_worker.contract import InterpreterResult, InterpreterSpecification
from pybots_worker.interpreters.build import build_interpreter
from pybots_worker.interpreters.pack import lay_out_packed

EVERYTHING = ["fetch", "configure", "compile", "install", "pack", "prove"]
IN_PLACE = ["fetch", "compile", "install", "pack", "prove"]
REPLACED = ["fetch", "replace", "pack", "prove"]


@dataclass
class Workshop:
    """A trunk, and a worker's folders."""

    folder: Path
    head: str = ""

    @property
    def trunk(self) -> Path:
        return self.folder / "trunk"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def commit(self, files: dict[str, str | None] | Any = None) -> str:
        commits = [TrunkCommit("A commit", files or {})]
        self.head = (add_commits if self.trunk.exists() else make_trunk)(self.trunk, commits)[0]
        return self.head

    def specification(self, **changes: Any) -> InterpreterSpecification:
        facts = {
            "key": "k",
            "git": str(self.trunk),
            "commit": self.head,
            "branch": "main",
            "variant": "default",
        }
        return InterpreterSpecification.model_validate(facts | changes)

    def folders(self) -> dict[str, Path]:
        return {"trees": self.folder / "trees", "output": self.output, "cache": self.folder / "cache"}

    def build(self, **changes: Any) -> InterpreterResult:
        return build_interpreter(self.specification(**changes), **self.folders(), echo=False)

    def tree(self, variant: str = "default") -> Path:
        return self.folder / "trees" / "main" / variant

    def start(self) -> subprocess.Popen[bytes]:
        """Build in a process of its own, which can be killed."""
        code = (
            "import sys; from pathlib import Path; from pybots_worker.contract import InterpreterSpecification;"
            "from pybots_worker.interpreters.build import build_interpreter;"
            "build_interpreter(InterpreterSpecification.model_validate_json(sys.argv[1]),"
            "trees=Path(sys.argv[2]), output=Path(sys.argv[3]), cache=Path(sys.argv[4]))"
        )
        arguments = [self.specification().model_dump_json(), *map(str, self.folders().values())]
        temporary = self.folder / "temporary"
        temporary.mkdir()
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(temporary)},
        )

    def run(self, result: InterpreterResult, code: str) -> str:
        """Run code on what was built, unpacked elsewhere."""
        assert result.artifact is not None
        place = self.folder / "elsewhere" / result.artifact.digest
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            lay_out_packed(self.output, result.artifact, place)
        python = str(place / "bin" / "python3")
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()


def phases(result: InterpreterResult) -> list[str]:
    return [phase.name if phase.succeeded else f"{phase.name}!" for phase in result.phases]
