"""What twistd runs: the master's application, made from a farm's folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from buildbot.master import BuildMaster
from twisted.application import service
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

from pybots.config.folder import FarmFolder
from pybots.farm.loader import FarmLoader

LOG_BYTES = 10_000_000
LOG_FILES = 10

TAC = '''\
"""Made by Pybots; `pybots start` runs it through twistd."""

from pathlib import Path

from pybots.farm.application import make_application

application = make_application(Path(__file__).resolve().parent.parent)
'''


def make_application(root: Path) -> Any:
    """Return the application of the farm in *root*."""
    folder = FarmFolder(root)
    # Uploads of an earlier life belong to builds that are retried.
    shutil.rmtree(folder.incoming, ignore_errors=True)
    application = service.Application("pybots")
    log_file = LogFile.fromFullPath(
        str(folder.master / "twistd.log"), rotateLength=LOG_BYTES, maxRotatedFiles=LOG_FILES
    )
    application.setComponent(ILogObserver, FileLogObserver(log_file).emit)
    master = BuildMaster(str(folder.master), umask=0o022, config_loader=FarmLoader(root))
    master.setServiceParent(application)
    return application
