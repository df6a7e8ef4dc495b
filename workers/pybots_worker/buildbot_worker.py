"""Runs `buildbot-worker` in a folder: what it needs there is written anew at each start."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from pybots_worker.processes import ACTIVE_FOLDER_VARIABLE, kill_leftovers
from pybots_worker.sandbox import owner
from pybots_worker.sandbox.groups import make_room

KEEPALIVE_SECONDS = 15
MAXIMUM_DELAY_SECONDS = 10
"""The master may be restarted at any time; Buildbot's own default waits up to five minutes."""
UMASK = 0o022
ENVIRONMENT_VARIABLE = "PYBOTS_ENVIRONMENT_FILE"
ENVIRONMENT_FILE = "environment.json"

_TOLD = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|PYTHONPATH|PYBOTS_\w+"
)
"""What the master may see of a volunteer's environment: buildbot-worker sends it all that it has."""
_KEPT_BACK = re.compile(
    r"CC|CXX|CPPFLAGS|CFLAGS|LDFLAGS|PKG_CONFIG_PATH|CCACHE_\w+|UV_\w+|PIP_\w+|XDG_CONFIG_HOME|SSH_AUTH_SOCK"
    r"|(?:http|https|all|no)_proxy|(?:HTTP|HTTPS|ALL|NO)_PROXY"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO"
)
"""What our own commands use besides; an index's address may hold a password."""

_TAC = """\
# Written by `pybots-worker start`; changes are lost at the next start.
from pathlib import Path

from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

from pybots_worker.buildbot_worker import send_at_once
from pybots_worker.faults import cut_when_asked

# buildbot-worker knows its folders by the next line.
application = service.Application('buildbot-worker')
logfile = LogFile.fromFullPath({log!r}, rotateLength=10_000_000, maxRotatedFiles=5)
application.setComponent(ILogObserver, FileLogObserver(logfile).emit)
worker = Worker(
    {host!r},
    {port!r},
    {name!r},
    Path({password_file!r}).read_text().strip(),
    {folder!r},
    {keepalive!r},
    umask={umask!r},
    maxdelay={maximum_delay!r},
)
send_at_once(worker)
cut_when_asked(worker)
worker.setServiceParent(application)
"""


class AlreadyRunningError(Exception):
    """Another worker runs in this folder."""


def prepare(
    folder: Path, *, host: str, port: int, name: str, password_file: Path, without_sandbox: bool | None = None
) -> None:
    """Write `buildbot.tac` and `info/` into a worker's folder, and what its owner allowed."""
    (folder / "info").mkdir(parents=True, exist_ok=True)
    (folder / "active").mkdir(exist_ok=True)
    allowed = owner.keep(folder, without_sandbox=without_sandbox)
    (folder / "info" / owner.INFO).write_text(owner.told_to_master(allowed=allowed) + "\n")
    (folder / "info" / "host").write_text(f"{platform.platform()}, {os.cpu_count()} processors\n")
    text = _TAC.format(
        log=str(folder / "twistd.log"),
        host=host,
        port=port,
        name=name,
        password_file=str(password_file),
        folder=str(folder),
        keepalive=KEEPALIVE_SECONDS,
        umask=UMASK,
        maximum_delay=MAXIMUM_DELAY_SECONDS,
    )
    temporary = folder / "buildbot.tac.part"
    temporary.write_text(text)
    temporary.replace(folder / "buildbot.tac")


def claim(folder: Path) -> IO[str]:
    """Hold the folder for this process; keep the returned file open. Raises AlreadyRunningError."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        msg = f"another worker runs in {folder}; stop it, or give this one a folder of its own"
        raise AlreadyRunningError(msg) from error
    return lock


def end_leftovers(folder: Path) -> int:
    """Kill what an earlier worker in this folder left running; returns how many processes."""
    return kill_leftovers(folder / "active")


def run(folder: Path) -> None:
    """Run the worker in the foreground, until SIGTERM or SIGINT."""
    from twisted.scripts import twistd  # noqa: PLC0415  (importing it installs nothing, but takes a second)

    # What the master has this worker run is found beside our Python, wherever we were started.
    _hide_environment(folder)
    own = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    os.environ[ACTIVE_FOLDER_VARIABLE] = str(folder / "active")
    os.environ[owner.VARIABLE] = str(folder / owner.FILE)
    make_room()
    os.chdir(folder)
    sys.argv = ["twistd", "--no_save", "--nodaemon", "--pidfile=", "--python=buildbot.tac"]
    twistd.run()  # type: ignore[no-untyped-call]


def send_at_once(worker: Any) -> None:
    """Have `buildbot-worker` send small messages at once: else each waits for an answer, 40 ms with every file."""
    connected = worker.bf.gotPerspective

    def on_connected(perspective: Any) -> None:
        perspective.broker.transport.setTcpNoDelay(True)
        connected(perspective)

    worker.bf.gotPerspective = on_connected


def take_back_environment() -> None:
    """Add to this process's environment what `start` kept from the master; nothing outside of a worker."""
    path = os.environ.pop(ENVIRONMENT_VARIABLE, "")
    if path:
        os.environ.update(json.loads(Path(path).read_text(encoding="utf-8")))


def told_and_kept_back(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide an environment into what the master may see and what only our commands may; the rest is dropped."""
    told = {name: text for name, text in environment.items() if _TOLD.fullmatch(name)}
    kept_back = {name: text for name, text in environment.items() if _KEPT_BACK.fullmatch(name)}
    return told, kept_back


def _hide_environment(folder: Path) -> None:
    told, kept_back = told_and_kept_back(os.environ)
    path = folder / ENVIRONMENT_FILE
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(kept_back, file)
    os.environ.clear()
    os.environ.update(told | {ENVIRONMENT_VARIABLE: str(path)})
