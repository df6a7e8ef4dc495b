"""Tiny projects and distributions that need no network: packages are made on the spot."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from pybots_worker.contract import (
    FolderSource,
    Limits,
    LocalInterpreter,
    Packages,
    RunResult,
    RunSpecification,
)
from pybots_worker.runs.carry_out import carry_out

BACKEND = '''
"""Builds a wheel of what is here, and says so, and what with."""
import os, pathlib, zipfile
NAME, VERSION, REQUIRES, BREAK, WITH, ASKS, CODE = {facts!r}
def get_requires_for_build_wheel(config_settings=None):
    return list(ASKS)
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("tiny builds", NAME, *[name + " " + __import__(name).VERSION for name in WITH])
    exec(CODE)
    if BREAK:
        print("ext.c:1:1: error: unknown type name 'PyObjekt'")
        raise RuntimeError("the extension does not compile")
    stem = NAME.replace("-", "_") + "-" + VERSION
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / (stem + "-py3-none-any.whl"), "w") as wheel:
        wheel.writestr(NAME.replace("-", "_") + ".py", "VERSION = %r\\n" % VERSION)
        requires = "".join("Requires-Dist: %s\\n" % each for each in REQUIRES)
        if "[project.optional-dependencies]" in (pyproject := pathlib.Path("pyproject.toml").read_text()):
            import tomllib
            for extra, lines in tomllib.loads(pyproject)["project"]["optional-dependencies"].items():
                requires += "Provides-Extra: %s\\n" % extra
                requires += "".join("Requires-Dist: %s; extra == '%s'\\n" % (each, extra) for each in lines)
        wheel.writestr(stem + ".dist-info/METADATA",
                       "Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n%s" % (NAME, VERSION, requires))
        wheel.writestr(stem + ".dist-info/WHEEL",
                       "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(stem + ".dist-info/RECORD", "")
    return stem + "-py3-none-any.whl"
'''


def write_project(
    folder: Path,
    name: str,
    *,
    version: str = "1.0",
    requires: tuple[str, ...] = (),
    build_requires: tuple[str, ...] = (),
    breaks: bool = False,
    built_with: tuple[str, ...] = (),
    asks: tuple[str, ...] = (),
    code: str = "",
    tests: str = "",
    extra: str = "",
) -> Path:
    """Write a project's source with its own build backend.

    `asks` is what the backend asks for when it runs, `code` what it does when it builds; the versions of the
    modules in `built_with` are in the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backend.py").write_text(
        BACKEND.format(facts=(name, version, requires, breaks, built_with, asks, code))
    )
    (folder / "pyproject.toml").write_text(
        f"[build-system]\nrequires = {json.dumps(build_requires)}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {json.dumps(requires)}\n{extra}'
    )
    (folder / "test_it.py").write_text(tests)
    return folder


def write_sdist(links: Path, name: str, version: str, *, requires_python: str = "", **options: Any) -> Path:
    """Write an sdist of a tiny project into a folder of packages."""
    stem = f"{name.replace('-', '_')}-{version}"
    source = write_project(links / f".{stem}", name, version=version, **options)
    needs = f"Requires-Python: {requires_python}\n" if requires_python else ""
    (source / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    target = links / f"{stem}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        archive.add(source, stem)
    return target


def write_wheel(links: Path, name: str, version: str, *, files: dict[str, str] | None = None) -> Path:
    """Write a wheel into a folder of packages."""
    links.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for path, text in (files or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"}).items():
            wheel.writestr(path, text)
        info = f"{stem}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        tags = "Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    target = links / f"{stem}-py3-none-any.whl"
    target.write_bytes(buffer.getvalue())
    return target


def sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


UNITTEST = ["{python}", "-m", "pybots_unittest"]
PASSES = "import unittest\nclass T(unittest.TestCase):\n def test_a(self): pass\n"


class Bench:
    """Runs specifications below one folder, with one cache, without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.links = folder / "links"
        self.links.mkdir()
        self.source = folder / "project"
        self.runs = 0

    def specification(self, **changes: Any) -> RunSpecification:
        """The tiny project, with unittest."""
        fields: dict[str, Any] = {
            "key": "run-1",
            "project": "tiny",
            "source": FolderSource(path=str(self.source)),
            "interpreter": LocalInterpreter(path=sys.executable),
            "command": UNITTEST,
            "report": "unittest",
            "packages": Packages(offline=True, find_links=[str(self.links)]),
            "limits": Limits(wall_seconds=60, quiet_seconds=30, prepare_seconds=60),
        }
        return RunSpecification(**fields | changes)

    def carry_out(self, specification: RunSpecification) -> tuple[RunResult, Path]:
        """Run it in a folder of its own."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        folder.mkdir()
        return carry_out(specification, folder=folder, cache=self.folder / "cache"), folder

    def run(self, **changes: Any) -> tuple[RunResult, Path]:
        """Specify and run."""
        return self.carry_out(self.specification(**changes))
