"""What twistd runs: the master's application, made from a farm's folder."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path
from typing import IO, Any

from twisted.application import service
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

from pybots.config.folder import FarmFolder
from pybots.farm.loader import FarmLoader
from pybots.farm.master import FarmMaster
from pybots.interpreters.artifact_store import ArtifactStore
from pybots.interpreters.read_old_archives import take_apart

LOG_BYTES = 10_000_000
LOG_FILES = 10

TAC = '''\
"""Made by Pybots; `pybots start` runs it through twistd."""

from pathlib import Path

from pybots.farm.application import make_application

application = make_application(Path(__file__).resolve().parent.parent)
'''


_held: list[IO[str]] = []
masters: list[FarmMaster] = []
"""The master of this process, for the exit status of `pybots.farm.run`."""


def hold_alone(folder: FarmFolder) -> None:
    """Hold the farm's folder until this process ends; exits where another master holds it."""
    lock = (folder.master / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"another master runs in {folder.root}; stop it first")
    _held.append(lock)


def make_application(root: Path) -> Any:
    """Return the application of the farm in *root*."""
    folder = FarmFolder(root)
    hold_alone(folder)
    # Uploads of an earlier life belong to builds that are retried.
    shutil.rmtree(folder.incoming, ignore_errors=True)
    store = ArtifactStore(folder.store)
    store.empty_arriving()
    for line in take_apart(store):
        print(line, flush=True)  # Twisted's log is not open yet
    application = service.Application("pybots")
    log_file = LogFile.fromFullPath(
        str(folder.master / "twistd.log"), rotateLength=LOG_BYTES, maxRotatedFiles=LOG_FILES
    )
    application.setComponent(ILogObserver, FileLogObserver(log_file).emit)
    master = FarmMaster(str(folder.master), umask=0o022, config_loader=FarmLoader(root))
    master.setServiceParent(application)
    masters.append(master)
    return application
