"""Loads a farm's Buildbot configuration as a master would, in a process of its own, and changes nothing.

`python -m pybots.commands.check_buildbot DIR` prints a JSON list of what is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SECONDS = 120


def buildbot_problems(folder: Path) -> list[str]:
    """Return what Buildbot says of the configuration of the farm in *folder*, whose farm.toml is good.

    A process of its own, since Buildbot keeps what it reads in globals, and could hang or exit.
    """
    command = [sys.executable, "-m", "pybots.commands.check_buildbot", str(folder.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [f"Buildbot did not load the configuration within {SECONDS} s"]
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return [f"Buildbot's configuration could not be loaded: {said[-1][:500]}"]
    return [str(problem) for problem in found]


def _load(folder: Path) -> list[str]:
    from buildbot.config.errors import ConfigErrors, capture_config_errors  # noqa: PLC0415
    from buildbot.config.master import MasterConfig  # noqa: PLC0415

    from pybots.config.folder import FarmFolder  # noqa: PLC0415
    from pybots.config.read import read_farm  # noqa: PLC0415
    from pybots.database.engine import Sessions, open_engine  # noqa: PLC0415
    from pybots.farm.configure import build_dictionary  # noqa: PLC0415
    from pybots.farm.parts import Parts  # noqa: PLC0415
    from pybots.interpreters.artifact_store import ArtifactStore  # noqa: PLC0415

    place = FarmFolder(folder)
    # An empty database in memory: a master that runs in this folder must not notice.
    parts = Parts(place, Sessions(open_engine("sqlite://")), ArtifactStore(place.store))
    try:
        with capture_config_errors(raise_on_error=True):
            MasterConfig.loadFromDict(build_dictionary(parts, read_farm(folder)), "farm.toml")
    except ConfigErrors as error:
        return [str(problem) for problem in error.errors]
    return []


def _main() -> None:
    try:
        problems = _load(Path(sys.argv[1]))
    except Exception as error:  # noqa: BLE001  (whatever it is, it would stop the master too)
        problems = [f"{type(error).__name__}: {error}"]
    print(json.dumps(problems))


if __name__ == "__main__":
    _main()
