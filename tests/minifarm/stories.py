"""Reads the stories, and lays each out on disk: trunk, projects, distributions, and the FILE for `pybots replay`."""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from trunk import TrunkCommit, make_trunk

FOLDER = Path(__file__).with_name("stories")
GRAMMAR = FOLDER / "grammar" / "sitecustomize.py"
BACKEND = FOLDER / "source" / "backend.py"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = {name}
version = {version}
dependencies = {requires}
"""

RECIPE = """
[project]
name = {name}
summary = "A project of a story."
contacts = ["{plain}@minifarm.example"]
[source]
path = "../sources/{plain}"
[test]
command = ["{{python}}", "-m", "pybots_unittest"]
report = "unittest"
[limits]
wall_seconds = 60
quiet_seconds = 30
[tracks]
variants = {variants}
"""


@dataclass(frozen=True)
class Story:
    """One story, as its file has it."""

    name: str
    facts: Mapping[str, Any]

    @property
    def commits(self) -> list[TrunkCommit]:
        """What happens on the trunk; one with `times` is that many commits."""
        found = []
        for number, commit in enumerate(self.facts["commit"]):
            files = dict(commit.get("files", {}))
            if number == 0 and self.facts.get("grammar"):
                files["Lib/sitecustomize.py"] = GRAMMAR.read_text()
            for _ in range(commit.get("times", 1)):
                filled = {name: _text(text, len(found)) for name, text in files.items()}
                found.append(TrunkCommit(_text(commit["message"], len(found)), filled))
        return found

    @property
    def heads(self) -> list[int]:
        """Which commits the poller sees, by number; all of them where the story does not say."""
        return list(self.facts.get("heads", range(len(self.commits))))

    @property
    def length(self) -> int:
        """How long it takes, beside the others: heads, and the trials that each claim takes."""
        return len(self.heads) + 8 * len(self.facts.get("found", []))

    def lay_out(self, folder: Path) -> list[str]:
        """Write everything below *folder*, FILE as replay.toml; return the commits."""
        commits = make_trunk(folder / "cpython", self.commits)
        for project in self.facts.get("project", []):
            write_source(folder / "sources" / project["name"], project)
            for revision, files in project.get("revision", {}).items():
                changed = {**project, "files": {**project["files"], **files}, "version": revision}
                write_source(folder / "revisions" / project["name"] / revision, changed)
            _write(folder / "recipes" / f"{project['name']}.toml", _recipe(project))
        for package in self.facts.get("package", []):
            for place in package["in"]:
                write_distribution(folder / place, package)
        _write(folder / "replay.toml", self._file(commits))
        return commits

    def _file(self, commits: Sequence[str]) -> str:
        text = f'[trunk]\ngit = "cpython"\nheads = {json.dumps([commits[head] for head in self.heads])}\n'
        if "variants" in self.facts:
            pairs = (f"{name} = {json.dumps(options)}" for name, options in self.facts["variants"].items())
            text += f"variants = {{ {', '.join(pairs)} }}\n"
        for project in self.facts.get("project", []):
            text += f'[[project]]\nrecipe = "recipes/{project["name"]}.toml"\n'
        for event in self.facts.get("event", []):
            text += "[[event]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in event.items())
        return text


def read_stories() -> list[Story]:
    """Return every story, in order."""
    return [Story(path.stem, tomllib.loads(path.read_text())) for path in sorted(FOLDER.glob("*.toml"))]


def write_source(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a source tree that builds itself."""
    for name, text in source_files(facts).items():
        _write(folder / name, text)


def source_files(facts: Mapping[str, Any]) -> dict[str, str]:
    """The files of a source tree: its own, and what builds it."""
    name, version, requires = facts["name"], facts.get("version", "1.0"), facts.get("requires", [])
    return {
        "backend.py": BACKEND.read_text(),
        "pyproject.toml": PYPROJECT.format(
            name=json.dumps(name), version=json.dumps(version), requires=json.dumps(requires)
        ),
        **{name: dedent(text) for name, text in facts["files"].items()},
    }


def write_distribution(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a wheel where there is nothing to compile, else an sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    name, version = facts["name"], facts["version"]
    if any(file.endswith(".c") for file in facts["files"]):
        _write_sdist(folder / f"{name}-{version}.tar.gz", f"{name}-{version}", source_files(facts))
        return
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in facts["files"].items():
            wheel.writestr(file, dedent(text))
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: mini\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")


def _write_sdist(path: Path, top: str, files: Mapping[str, str]) -> None:
    name, _, version = top.rpartition("-")
    everything = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}
    with tarfile.open(path, "w:gz") as archive:
        for file, text in everything.items():
            info = tarfile.TarInfo(f"{top}/{file}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


def _recipe(project: Mapping[str, Any]) -> str:
    variants = json.dumps(project.get("variants", ["default"]))
    text = RECIPE.format(name=json.dumps(project["name"]), plain=project["name"], variants=variants)
    if project.get("as_it_is"):
        # Nothing is installed: the suite runs in the source, in half of the time.
        text += "[install]\nsteps = []\n"
    return text


def _text(text: str, number: int) -> str:
    return text.replace("@NUMBER@", str(number))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
