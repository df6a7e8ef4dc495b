"""Provides the Python to test with: one on this machine, or an artifact that is fetched once and kept."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pybots_worker.contract import Ending, LocalInterpreter, StoredInterpreter
from pybots_worker.interpreters.cache import DownloadError, UnfitError, fetch_interpreter
from pybots_worker.runs.phases import RunEndedError, one_line
from pybots_worker.runs.place import Place
from pybots_worker.runs.steps import ask
from pybots_worker.sandbox.machine import shown_folders

_QUESTION = """
import sys, sysconfig, json
places = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, sysconfig.get_config_var("LIBDIR")]
print(json.dumps([sys.version, [sys.executable, sys._base_executable, *filter(None, places)]]))
"""


@dataclass(frozen=True, slots=True)
class Provided:
    """A Python that starts here. `identity` names its build: what is built with it is cached under that."""

    python: Path
    identity: str
    shown: tuple[Path, ...]
    """What of this machine it consists of: what a sandbox has to show."""


def provide_interpreter(place: Place) -> Provided:
    """Find or fetch the interpreter, and see it start.

    Raises RunEndedError (`worker-unfit`).
    """
    wanted = place.specification.interpreter
    match wanted:
        case LocalInterpreter():
            python = Path(wanted.path).expanduser().absolute()
            version, places = _start(python, place)
            shown = tuple(shown_folders([python, *places]))
            return Provided(python, _local_identity(python, version), shown)
        case StoredInterpreter():
            root = _fetch(place, wanted)
            python = _find_python(root)
            _start(python, place)
            return Provided(python, wanted.digest, (root,))


def _start(python: Path, place: Place) -> tuple[str, list[Path]]:
    """Return its version, and where it says that it lives."""
    try:
        answer = ask([str(python), "-I", "-c", _QUESTION], place.clean_environment())
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        detail = f"{python.name} does not work on this machine: {said[-1] if said else error}"
        raise RunEndedError(Ending.UNFIT, detail) from error
    said = json.loads(answer)
    version, places = said if isinstance(said, list) else (said, [])
    place.log.say(f"testing with {one_line(version)}\n")
    return str(version), [Path(place) for place in places]


def _local_identity(python: Path, version: str) -> str:
    real = python.resolve()
    facts = [str(python), str(real), real.stat().st_mtime_ns, real.stat().st_size, version]
    return "local-" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _fetch(place: Place, wanted: StoredInterpreter) -> Path:
    """Return the unpacked artifact from the cache that all runs on this machine share."""
    try:
        return fetch_interpreter(wanted, place.cache)
    except (DownloadError, UnfitError) as error:
        # The farm's own, either way: an interpreter that does not arrive says nothing about the project.
        raise RunEndedError(Ending.UNFIT, str(error)) from error


def _find_python(root: Path) -> Path:
    """Find `bin/python3.15` (or `python3.15t`, `python3.15d`)."""
    names = [
        path for path in (root / "bin").glob("python3.*") if re.fullmatch(r"python3\.\d+[td]*", path.name)
    ]
    if not names:
        raise RunEndedError(Ending.UNFIT, f"the artifact {root.name[:12]} has no bin/python3.*")
    return min(names, key=lambda path: (len(path.name), path.name))
