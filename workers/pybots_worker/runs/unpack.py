"""Has a source's archive unpacked in the sandbox, and puts what was in it where the source belongs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.phases import MACHINE_ERRORS, RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.steps import StepFailedError, ended, run_step
from pybots_worker.sandbox import unpack
from pybots_worker.sandbox.machine import own_python

MAXIMUM_BYTES = 2_000_000_000
MAXIMUM_FILES = 200_000
"""Of an archive, unpacked."""
MAXIMUM_MEMORY = 1_000_000_000
"""For reading an archive, whose headers may be as long as they say; the recipe's own limit may be lower."""


def unpack_source(place: Place, archive: Path) -> None:
    """Unpack what is in the archive's one top folder as the place's source.

    Raises RunEndedError: `fetch-failed` for whatever is wrong with the archive, `memory-limit` or `disk-limit` where
    the step met one; OSError for what is wrong with this machine.
    """
    folder = place.work / "unpacked"
    remove_tree(folder)  # whatever was left there
    folder.mkdir()
    task = {
        "archive": str(archive),
        "folder": str(folder),
        "bytes": MAXIMUM_BYTES,
        "files": MAXIMUM_FILES,
        "memory": MAXIMUM_MEMORY,
    }
    script = Path(unpack.__file__)
    command = [str(own_python()), "-I", "-S", str(script), json.dumps(task)]
    environment = place.clean_environment()
    what = "unpacking the source's archive"
    try:
        printed = run_step(place, what, command, environment, readable=[script, archive])
    except StepFailedError as error:
        raise ended(Ending.FETCH_FAILED, error) from error
    _raise_problem(printed)
    _put_in_place(folder / "source", place.source)
    remove_tree(folder)


def _raise_problem(printed: str) -> None:
    try:
        answer = json.loads(printed)
        problem, number = answer.get("problem"), answer.get("errno")
    except (ValueError, RecursionError, AttributeError) as error:
        detail = f"what unpacks the source's archive said {printed[:200]!r}"
        raise RunEndedError(Ending.FETCH_FAILED, detail) from error
    if number in MACHINE_ERRORS:
        raise OSError(number, str(problem))
    if problem:
        raise RunEndedError(Ending.FETCH_FAILED, f"the source's archive {problem}")


def _put_in_place(unpacked: Path, target: Path) -> None:
    if not stat.S_ISDIR(unpacked.lstat().st_mode):
        raise RunEndedError(Ending.FETCH_FAILED, "the source's archive was not unpacked to a folder")
    unpacked.rename(target)
