"""Measures what this machine grants: does a sandbox work here, and what is there to be shown in it?"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pybots_worker.sandbox.policy import (
    ETC,
    ETC_WITH_NETWORK,
    INIT,
    NEEDED_OPTIONS,
    NULL,
    SYSTEM_FOLDERS,
    Sandbox,
    System,
    arguments,
    made_up_files,
)
from pybots_worker.sandbox.words import Lack, lack_of

INIT_FILE = Path(__file__).with_name("init.py")
BUBBLEWRAP_VARIABLE = "PYBOTS_BUBBLEWRAP"
"""Another bubblewrap than the one on the PATH."""
TRY_SECONDS = 30
_QUESTION = "import ctypes, json; open('/dev/null', 'w').close(); open('/tmp/try', 'w').close()"


@dataclass(frozen=True, slots=True)
class Grants:
    """What was measured: bubblewrap and the system that it shows, or why there is no sandbox here."""

    bubblewrap: Path | None
    system: System
    lack: Lack | None


@functools.cache
def grants() -> Grants:
    """Measure once a process: a sandbox without and with the network is tried, not guessed at."""
    system = _system()
    found = os.environ.get(BUBBLEWRAP_VARIABLE) or shutil.which("bwrap")
    if not found or not Path(found).is_file():
        return Grants(None, system, lack_of("", missing=True))
    bubblewrap = Path(found)
    said = _complaint([str(bubblewrap), "--help"], wants=NEEDED_OPTIONS)
    said = said or _try(bubblewrap, system, network=False) or _try(bubblewrap, system, network=True)
    return Grants(bubblewrap, system, lack_of(said) if said else None)


def command_prefix(sandbox: Sandbox, found: Grants) -> list[str]:
    """Return what precedes the two descriptors that `init` is given."""
    assert found.bubblewrap is not None
    python = own_python()
    built = arguments(sandbox, found.system, python=own_python_folders(), init=INIT_FILE)
    return [str(found.bubblewrap), *built, "--", str(python), "-I", "-S", str(INIT)]


def write_made_up_files(folder: Path, home: Path) -> None:
    """Write the files of /etc that are the same in every sandbox into a new folder."""
    folder.mkdir()
    for name, text in made_up_files(_system(), home).items():
        (folder / name).write_text(text, encoding="utf-8")
    if _system().own_null:
        os.mknod(folder / NULL, stat.S_IFCHR | 0o666, os.stat(os.devnull).st_rdev)  # noqa: PTH116
        (folder / NULL).chmod(0o666)


def own_python() -> Path:
    """The worker's own Python, outside of its environment."""
    return Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))


def own_python_folders() -> list[Path]:
    """What it consists of, where the system's folders do not hold it."""
    return shown_folders([own_python(), Path(sys.base_prefix), Path(sys.base_exec_prefix)])


def shown_folders(paths: list[Path]) -> list[Path]:
    """Return what to show of an interpreter, by its paths: its folders, but never a whole home or system.

    A path that is a file stands for itself.
    """
    found: dict[Path, None] = {}
    for path in [way for named in paths for way in (named, Path(os.path.realpath(named)))]:
        parts = [path] if path.is_file() or not _is_wide(path) else [path / name for name in _PREFIX_PARTS]
        for part in parts:
            if part.exists() and not part.is_relative_to("/usr"):
                found[part] = None
    return [
        path for path in found if not any(path != other and path.is_relative_to(other) for other in found)
    ]


_PREFIX_PARTS = ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")


def _is_wide(prefix: Path) -> bool:
    """Whether more than an interpreter is to be expected in this folder."""
    return Path.home().is_relative_to(prefix) or len(prefix.parts) <= 2


@functools.cache
def _system() -> System:
    folders, links = [], []
    for path in (Path("/") / name for name in SYSTEM_FOLDERS):
        if path.is_symlink():
            links.append((str(path.readlink()), path))
        elif path.is_dir():
            folders.append(path)
    etc = (Path("/etc") / name for name in (*ETC, *ETC_WITH_NETWORK))
    hosts = Path("/etc/hosts")
    return System(
        tuple(folders),
        tuple(links),
        tuple(path for path in etc if path.exists()),
        hosts.read_text(encoding="utf-8", errors="replace") if hosts.is_file() else "",
        own_null=os.geteuid() == 0 and stat.S_IMODE(os.stat(os.devnull).st_mode) & 0o666 != 0o666,  # noqa: PTH116
    )


def _try(bubblewrap: Path, system: System, *, network: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="pb-") as made:
        folder = Path(made)
        (folder / "tmp").mkdir()
        write_made_up_files(folder / "etc", folder)
        sandbox = Sandbox((), (), folder / "tmp", folder / "etc", 1 << 20, network)
        built = arguments(sandbox, system, python=own_python_folders(), init=INIT_FILE)
        question = [str(own_python()), "-I", "-S", "-c", _QUESTION]
        return _complaint([str(bubblewrap), *built, "--", *question])


def _complaint(command: list[str], wants: tuple[str, ...] = ()) -> str:
    """Run a command; returns what it complained of, empty where all is well and it printed all that it should."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return next((f"it has no {option}" for option in wants if option not in done.stdout), "")
