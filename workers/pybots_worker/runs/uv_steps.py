"""Talks to uv, in the sandbox: resolves requirements, finds files, makes environments, installs wheels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_wheel_filename

from pybots_worker.contract import GitSource, LocalInterpreter
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.explain import Explanation, Trouble
from pybots_worker.runs.locked import Entry, File
from pybots_worker.runs.place import Place, uv
from pybots_worker.runs.plain import read_plain
from pybots_worker.runs.pylock import read_pylock
from pybots_worker.runs.steps import StepFailedError, run_step

_ANSWER_BYTES = 50_000_000
_HERE = re.compile(r"(?:^|\bgit\+)(?:file://)?(/[^@\s#'\"]+)")
_OFFLINE = {
    "UV_NO_CONFIG": "1",
    "UV_OFFLINE": "1",
    "UV_LINK_MODE": "copy",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that lies in a folder, to be installed."""

    name: str
    version: str
    file: File


def wheel_of(file: File) -> Wheel:
    """Read what a wheel's name says. Raises packaging's InvalidWheelFilename."""
    name, version, _, _ = parse_wheel_filename(file.name)
    return Wheel(canonicalize_name(name), str(version), file)


@dataclass(frozen=True, slots=True)
class Uv:
    """uv in one run's place."""

    place: Place

    @property
    def given(self) -> Path:
        """What the place's programs may read and not write: wheels, and what uv is asked for."""
        return self.place.ours / "given"

    @property
    def build_python(self) -> Path:
        """The Python of the environment that something is built in."""
        return self.place.work / "build" / "bin" / "python"

    def compile(self, name: str, lines: Sequence[str], options: Sequence[str] = ()) -> list[Entry]:
        """Choose versions; the project itself is left out. Raises StepFailedError, RunEndedError, LockError."""
        if not lines and not options:
            return []
        return self._compile(name, lines, options, self.place.install_environment(self.place.work / "uv"))

    def locate(self, entries: Iterable[Entry]) -> list[Entry]:
        """Find the files of exactly these versions; nothing is chosen, read or built. Raises as `compile` does."""
        wanted = [entry for entry in entries if "://" not in entry.exact]
        told = "".join(
            f"[[dependency-metadata]]\nname = {json.dumps(entry.name)}\nrequires-dist = []\n"
            for entry in wanted
        )
        self.given.mkdir(exist_ok=True)
        configuration = self.given / "locate.toml"
        configuration.write_text(f"{self.place.uv_configuration()}\n{told}")
        environment = self.place.install_environment(self.place.work / "uv")
        environment["UV_CONFIG_FILE"] = str(configuration)
        lines = [entry.label for entry in wanted]
        return self._compile("files", lines, ["--no-deps"], environment) if lines else []

    def _compile(
        self, name: str, lines: Sequence[str], options: Sequence[str], environment: Mapping[str, str]
    ) -> list[Entry]:
        answer = self.place.work / f"pylock.{canonicalize_name(name)[:80].replace('.', '-')}.toml"
        remove_tree(answer)  # uv would prefer the versions in it
        command = [
            str(uv()),
            "pip",
            "compile",
            str(self._asked(name, lines)),
            *options,
            "--quiet",
            "--no-header",
        ]
        command += [
            "--format",
            "pylock.toml",
            "--python",
            str(self.place.python),
            "--output-file",
            str(answer),
        ]
        what = f"resolving the {name}"
        run_step(self.place, what, command, environment, network=True, readable=self._readable())
        try:
            return read_pylock(read_plain(answer.parent, answer.name, _ANSWER_BYTES), self.place.folder)
        except OSError as error:
            reason = f"uv left no answer: {error}"
            raise StepFailedError(what, "", Explanation(Trouble.OTHER, reason)) from error

    def create_venv(self, interpreter: Path, venv: Path) -> None:
        """Make an environment where nothing is, or an empty folder. Raises StepFailedError, RunEndedError."""
        command = [
            str(uv()),
            "venv",
            "--quiet",
            "--no-project",
            "--python",
            str(interpreter),
            str(venv),
        ]
        self._offline("creating the environment", command)

    def install(self, venv: Path, folder: Path, wheels: Sequence[Wheel], what: str) -> None:
        """Unpack wheels from a folder; no code runs. Raises StepFailedError, RunEndedError."""
        if not wheels:
            return
        lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.file.sha256}" for wheel in wheels]
        command = [
            str(uv()),
            "pip",
            "install",
            "--python",
            str(venv / "bin" / "python"),
            "--no-deps",
            "--no-index",
        ]
        command += [
            "--find-links",
            str(folder),
            "--require-hashes",
            "--no-build",
            "-r",
            str(self._asked(what, lines)),
        ]
        self._offline(what, command)

    def install_file(self, venv: Path, wheel: Path, what: str) -> None:
        """Unpack one wheel, from where it is. Raises StepFailedError, RunEndedError."""
        command = [
            str(uv()),
            "pip",
            "install",
            "--python",
            str(venv / "bin" / "python"),
            "--no-deps",
            str(wheel),
        ]
        self._offline(what, command)

    def _offline(self, what: str, command: list[str]) -> None:
        environment = self.place.clean_environment() | _OFFLINE
        environment["UV_CACHE_DIR"] = str(self.place.work / "uv")
        run_step(self.place, what, command, environment, readable=self._readable())

    def _asked(self, name: str, lines: Iterable[str]) -> Path:
        path = self.given / f"{canonicalize_name(name)[:80].replace(' ', '-').replace('/', '-')}.in"
        self.given.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def _readable(self) -> list[Path]:
        return [self.given, *packages_here(self.place)]


def packages_here(place: Place) -> list[Path]:
    """The folders on this machine that the recipe names; a lock, or a project, cannot name more of them.

    None in a farm's runs: there a recipe is a stranger's, and whatever it named would be shown to it. Only who tries
    one with a Python of their own (`pybots project try`) means their own folders.
    """
    specification = place.specification
    if not isinstance(specification.interpreter, LocalInterpreter):
        return []
    named = [*specification.requirements, *(text for step in specification.install or [] for text in step)]
    if isinstance(specification.source, GitSource):
        named.append(specification.source.url)
    found = [match[1] for text in named for match in _HERE.finditer(text)]
    return [Path(unquote(path)) for path in found if Path(unquote(path)).is_dir()]
