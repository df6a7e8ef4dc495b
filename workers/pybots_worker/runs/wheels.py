"""Provides the wheels of a lock's distributions: downloaded, or built in a place of their own and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import InvalidWheelFilename

from pybots_worker.contract import Ending, GitSource
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.backend import Backend, read_build_system
from pybots_worker.runs.built import BuiltWheels
from pybots_worker.runs.fetch import fetch_git
from pybots_worker.runs.files import Files, of_a_dependency
from pybots_worker.runs.locked import Entry, File, LockError
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.scratch import remove_scratch
from pybots_worker.runs.steps import StepFailedError, ended
from pybots_worker.runs.unpack import unpack_source
from pybots_worker.runs.uv_steps import Uv, Wheel, wheel_of

_BUILD_ENVIRONMENT = {"SOURCE_DATE_EPOCH": "315619200", "PYTHONHASHSEED": "0"}
"""With the same folder every time, this makes the same wheel of the same source; no zip can name a time before."""
_WAY = "1"
"""Of building: a change makes every key another one."""


@dataclass(slots=True)
class Wheels:
    """What one run installs from.

    `sections` are the build requirements that the lock names; without a lock (`growing`), what is found out is
    added to them.
    """

    place: Place
    uv: Uv
    interpreter: Path
    files: Files
    built: BuiltWheels
    sections: dict[str, list[Entry]]
    growing: bool
    _under_way: list[str] = field(default_factory=list)

    def collect(self, entries: Sequence[Entry], folder: Path) -> list[Wheel]:
        """Copy a wheel of each into a folder. Raises RunEndedError (`environment-failed`, `worker-unfit`)."""
        folder.mkdir(parents=True, exist_ok=True)
        files = self.files.fetched(entries)
        return [
            wheel_of(self.files.take(file, folder))
            if file and file.is_wheel
            else self._take_built(entry, file, folder)
            for entry, file in files
        ]

    def fetch(self, entries: Sequence[Entry]) -> None:
        """Download what is not there yet. Raises RunEndedError."""
        self.files.fetched(entries)

    def find_sections(self, entries: Sequence[Entry]) -> None:
        """Find out what builds those of them that have to be built. Raises RunEndedError."""
        built = [entry for entry in entries if not _is_wheel(self.files.choose(entry))]
        for entry, file in self.files.fetched(built):
            self._section(entry, file)

    def _section(self, entry: Entry, file: File | None) -> list[Entry]:
        """The build requirements of one distribution."""
        if entry.label in self.sections:
            return self.sections[entry.label]
        if not self.growing:
            detail = f"{entry.label} has no wheel for this Python, and the lock does not say what builds it"
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
        key = _digest(["asking", entry.label, file.sha256 if file else ""])
        with self._on_the_way(entry), self._place(key, entry, file) as (place, source):
            uv = Uv(place)
            self.sections[entry.label] = self.find_section(uv, source, entry.label)
        return self.sections[entry.label]

    def find_section(self, uv: Uv, source: Path, label: str) -> list[Entry]:
        """Find out what a source's build needs, also when its backend runs, and put it into an environment.

        Raises RunEndedError (`environment-failed`, `install-failed`), StepFailedError of the backend.
        """
        system = read_build_system(source)
        section = self._compile_section(list(system.requires), label)
        installed = self.install_section(uv, section, label)
        asked = self.backend(uv, source).requirements(f"asking what builds {label}")
        if self.files.target.unmet(asked, _versions(installed)) or any("[" in line for line in asked):
            section = self._compile_section([*system.requires, *asked], label)
            self.install_section(uv, section, label)
        return section

    def check_section(self, uv: Uv, source: Path, installed: Iterable[Wheel], label: str) -> None:
        """See that a build needs nothing that the lock does not name. Raises RunEndedError, StepFailedError."""
        backend = self.backend(uv, source)
        versions = _versions(installed)
        unmet = self.files.target.unmet(
            backend.system.requires, versions
        )  # else the backend may not even be there
        unmet = unmet or self.files.target.unmet(
            backend.requirements(f"asking what builds {label}"), versions
        )
        if unmet:
            detail = f"building {label} needs {unmet[0]}, and the lock does not have it"
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)

    def install_section(self, uv: Uv, section: Sequence[Entry], label: str) -> list[Wheel]:
        """Make the environment that something is built in. Raises RunEndedError."""
        folder = uv.given / "build"
        shutil.rmtree(folder, ignore_errors=True)
        wheels = self.collect(section, folder)
        venv = uv.build_python.parent.parent
        remove_tree(venv)
        try:
            uv.create_venv(self.interpreter, venv)
            uv.install(venv, folder, wheels, f"installing what builds {label}")
        except StepFailedError as error:
            raise ended(Ending.ENVIRONMENT_FAILED, error) from error
        return wheels

    def backend(self, uv: Uv, source: Path, python: Path | None = None) -> Backend:
        """What builds a source, in the place's environment for that, or in the one that `python` is of."""
        place, python = uv.place, python or uv.build_python
        environment = place.install_environment(place.work / "uv")
        venv = str(python.parent.parent)
        path = environment["PATH"].replace(str(place.venv), venv)
        environment = _BUILD_ENVIRONMENT | environment | {"PATH": path, "VIRTUAL_ENV": venv}
        return Backend(place, source, python, environment, read_build_system(source))

    def _compile_section(self, lines: list[str], label: str) -> list[Entry]:
        try:
            return self.uv.compile(f"build requirements of {label}", lines)
        except LockError as error:
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, str(error)) from error
        except StepFailedError as error:
            raise ended(Ending.ENVIRONMENT_FAILED, error) from error

    def _take_built(self, entry: Entry, file: File | None, folder: Path) -> Wheel:
        section = self._section(entry, file)
        key = self._key(entry, file)
        found = self.built.take(key, folder)
        while found is None:
            with self._on_the_way(entry):
                self._build(key, entry, file, section)
            found = self.built.take(key, folder)
        return wheel_of(found)

    def _key(self, entry: Entry, file: File | None) -> str:
        """What goes into a wheel: its source, what builds it (and what builds that), the recipe's environment."""
        parts = []
        with self._on_the_way(entry):
            for needed in self._section(entry, file):
                chosen = self.files.choose(needed)
                parts.append(chosen.sha256 if chosen and chosen.is_wheel else self._key(needed, chosen))
        source = file.sha256 if file else entry.exact
        return _digest([_WAY, source, sorted(parts), sorted(self.place.specification.environment.items())])

    def _build(self, key: str, entry: Entry, file: File | None, section: list[Entry]) -> None:
        with self._place(key, entry, file) as (place, source):
            if self.built.take(key, place.fetched):  # another run has built it while we waited
                return
            uv = Uv(place)
            installed = self.install_section(uv, section, entry.label)
            self.check_section(uv, source, installed, entry.label)
            target = place.empty("out")
            name = self.backend(uv, source).build(f"building {entry.label}", target)
            try:
                if wheel_of(File(name, "")).name != entry.name:
                    detail = f"building {entry.label} made {name[:200]}"
                    raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
                self.built.keep(key, target, name)
            except (OSError, InvalidWheelFilename) as error:
                detail = f"building {entry.label} made no wheel that can be used: {error}"
                raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail) from error

    @contextmanager
    def _place(self, key: str, entry: Entry, file: File | None) -> Iterator[tuple[Place, Path]]:
        """A place of its own with a distribution's source, for nothing of this run's project to touch."""
        with self.built.alone(key) as folder:
            folder.mkdir()
            place = replace(self.place, folder=folder)
            place.prepare()
            try:
                yield place, self._source(place, entry, file)
            except StepFailedError as error:
                raise ended(Ending.ENVIRONMENT_FAILED, error) from error
            except RunEndedError as error:
                raise of_a_dependency(error, entry.label) from error
            except OSError as error:
                if not place.is_in_the_way(error):
                    raise
                detail = f"{entry.label}: what it left behind is in the way: {error}"
                raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail) from error
            finally:
                remove_scratch(folder)

    def _source(self, place: Place, entry: Entry, file: File | None) -> Path:
        if file is not None:
            self.files.take(file, place.fetched)
            unpack_source(place, place.fetched / file.name)
            return place.source
        address, _, below = entry.exact.removeprefix("git+").partition("#subdirectory=")
        url, _, commit = address.rpartition("@")
        fetch_git(place, GitSource(url=url, ref=commit))
        found = Path(os.path.realpath(place.source / below))
        if not found.is_relative_to(os.path.realpath(place.source)):
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, f"the repository has no folder {below!r}")
        return found

    @contextmanager
    def _on_the_way(self, entry: Entry) -> Iterator[None]:
        if entry.label in self._under_way:
            circle = ", ".join([*self._under_way, entry.label])
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, f"each of these is built by the next: {circle}")
        self._under_way.append(entry.label)
        try:
            yield
        finally:
            self._under_way.pop()


def _is_wheel(file: File | None) -> bool:
    return file is not None and file.is_wheel


def _versions(wheels: Iterable[Wheel]) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in wheels}


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
