"""Runs the programs that prepare a suite: each under the limit of its phase, its output in the run's log."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Ending
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.processes import Finished, run_limited
from pybots_worker.runs.explain import Explanation, Trouble, explain
from pybots_worker.runs.measured import as_measured
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.plain import open_plain

_OUTPUT_BYTES = 200_000
_UNFETCHED = "Could not fetch URL"
_PIP_LINES = 1_000_000
_LINE_CHARACTERS = 10_000
ENDINGS: dict[str, Ending] = {
    "memory-limit": Ending.MEMORY_LIMIT,
    "disk-limit": Ending.DISK_LIMIT,
    # Neither has a status of its own: what is printed would fill a disk, and processes fill memory.
    "output-limit": Ending.DISK_LIMIT,
    "process-limit": Ending.MEMORY_LIMIT,
}
"""What a limit that a program met makes of the run; the detail says which limit it was."""
OUT_OF_MEMORY = "the machine ran out of memory"


class StepFailedError(Exception):
    """A program failed; the caller knows whose fault that is."""

    def __init__(self, what: str, output: str, explanation: Explanation) -> None:
        super().__init__(what)
        self.what = what
        self.output = output
        self.explanation = explanation


def run_step(
    place: Place,
    what: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: Path | None = None,
    network: bool = False,
    writable: Sequence[Path] = (),
    readable: Sequence[Path] = (),
) -> str:
    """Run one program in the sandbox and return what it printed.

    It may write to the run's folder and to *writable*, and read the interpreter, the system's programs and *readable*.

    Raises StepFailedError, or RunEndedError(`worker-unfit`) where this machine is at fault: a full disk, an
    index that cannot be reached, a program that is missing.
    """
    seconds = place.specification.limits.prepare_seconds
    bounds = place.bounds(environment, network=network, writable=writable, readable=readable)
    remove_tree(place.pip_log)  # whatever a build left there
    output = BoundedLog(_OUTPUT_BYTES // 2, _OUTPUT_BYTES // 2)
    place.log.say(f"\n$ {shlex.join(command)}\n")
    try:
        finished = run_limited(
            command,
            cwd=cwd or place.work,
            environment=environment,
            log=output,
            wall_seconds=seconds,
            bounds=bounds,
        )
    finally:
        place.open_again()
        place.log.write(output.contents())
    text = output.contents().decode("utf-8", "replace")
    if finished.met:
        raise RunEndedError(ENDINGS[finished.ending], f"{what}: it {finished.met}")
    if finished.succeeded:
        return text
    if finished.memory_ran_out:  # a compiler that is killed makes its caller fail
        raise RunEndedError(Ending.UNFIT, f"{OUT_OF_MEMORY} ({what})")
    explanation = as_measured(place, finished, _explained(place, finished, text, seconds))
    if finished.notes:  # what it was refused may be why it failed
        explanation = replace(explanation, reason=f"{explanation.reason} ({'; '.join(finished.notes)})")
    raise_if_unfit(what, explanation)
    raise StepFailedError(what, text, explanation)


def _explained(place: Place, finished: Finished, text: str, seconds: float) -> Explanation:
    if finished.ending != "exited":
        return Explanation(Trouble.OTHER, f"it took longer than {seconds:g} s")
    if finished.signal:
        return Explanation(Trouble.OTHER, f"it was ended by {finished.signal}")
    return explain(text + _unfetched(place.pip_log))


def _unfetched(pip_log: Path) -> str:
    """What pip could not fetch: it says so in its log alone."""
    try:
        with os.fdopen(open_plain(pip_log.parent, pip_log.name), encoding="utf-8", errors="replace") as file:
            lines = iter(lambda: file.readline(_LINE_CHARACTERS), "")
            matching = (line for line in itertools.islice(lines, _PIP_LINES) if _UNFETCHED in line)
            return "".join("\n" + line[line.index(_UNFETCHED) :] for line in itertools.islice(matching, 100))
    except OSError:
        return ""


def raise_if_unfit(what: str, explanation: Explanation) -> None:
    """Raise RunEndedError(`worker-unfit`) where it is this machine that cannot do it."""
    if explanation.trouble is Trouble.DISK:
        raise RunEndedError(Ending.UNFIT, f"the disk is full ({what}): {explanation.reason}")
    if explanation.trouble is Trouble.NETWORK:
        raise RunEndedError(Ending.UNFIT, f"the network failed ({what}): {explanation.reason}")


def ended(ending: Ending, error: StepFailedError) -> RunEndedError:
    """Turn a failed step into the run's end: `installing attrs==25.4.0 failed: error: ...`."""
    package = error.explanation.package
    built = f" (building {package})" if package and not package.startswith("/") else ""
    return RunEndedError(ending, f"{error.what}{built} failed: {error.explanation.reason}")


def ask(command: Sequence[str], environment: Mapping[str, str], seconds: float = 60) -> str:
    """Ask a program of ours a short question; raises OSError or subprocess.SubprocessError."""
    finished = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=seconds, check=True
    )
    return finished.stdout
