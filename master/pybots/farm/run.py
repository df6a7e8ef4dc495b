"""Runs a master in the foreground under twistd, and exits with status 1 where it never came up."""

from __future__ import annotations

import sys

from twisted.scripts import twistd

from pybots.farm import application


def main() -> None:
    """Run what the command line says, as twistd does; Buildbot alone would exit with 0 after a failed start."""
    twistd.run()
    if not any(master.became_ready for master in application.masters):
        sys.exit(1)


if __name__ == "__main__":
    main()
