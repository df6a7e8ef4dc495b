"""Brings Buildbot's own database up to date: `python -m pybots.farm.buildbot_database FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from buildbot.config.master import DBConfig
from buildbot.master import BuildMaster
from buildbot.util import in_reactor
from twisted.internet import defer

from pybots.config import last_good
from pybots.config.folder import FarmFolder
from pybots.farm.loader import FarmLoader


@in_reactor
@defer.inlineCallbacks
def upgrade(root: Path) -> Any:
    """Create or upgrade the database named by the configuration that would be used in *root*."""
    folder = FarmFolder(root)
    configuration = last_good.load(root).configuration
    loader = FarmLoader(root)
    master = BuildMaster(str(folder.master), config_loader=loader)
    master.db.configured_db_config = DBConfig(folder.database_url(configuration.database.buildbot))
    yield master.db.setup(check_version=False)
    yield master.db.model.upgrade()
    return 0


if __name__ == "__main__":
    sys.exit(upgrade(Path(sys.argv[1]).absolute()))
