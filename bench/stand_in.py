"""Stands in for `pybots-worker`: a build packs a tiny tree at once, and a run sleeps for as long as its command says.

It is started as a program, under an isolated Python with nothing but the standard library, so that eight runs at once
need next to none of a small machine's processors: what is left is the farm's own time.
"""

import json
import os
import sys
import time
from pathlib import Path

# Of nothing, zstandard-compressed.
EMPTY_LOG = bytes.fromhex("28b52ffd2000010000")
CASE = '<testcase classname="tests.test_it" name="test_{}" file="tests/test_it.py" line="1" time="0.001" />'
TESTS = 20


def run(folder: Path) -> None:
    """Sleep for as many seconds as the last word of the run's command says, and report tests that passed."""
    started = time.monotonic()
    specification = json.loads((folder / "specification.json").read_text())
    time.sleep(float(specification["command"][-1]))
    cases = "".join(CASE.format(number) for number in range(TESTS))
    (folder / "report").write_text(
        f'<testsuites><testsuite name="pytest" tests="{TESTS}">{cases}</testsuite></testsuites>'
    )
    (folder / "log.zst").write_bytes(EMPTY_LOG)
    seconds = time.monotonic() - started
    result = {
        "key": specification["key"],
        "ending": "exited",
        "exit_status": 0,
        "revision": "1.0",
        "phases": [],
        "seconds": seconds,
        "suite_seconds": seconds,
        "report_present": True,
    }
    (folder / "result.json").write_text(json.dumps(result))


def build(folder: Path) -> None:
    """Pack a tree that holds nothing but the commit's name, and say that it is a proven interpreter."""
    # Imported here: a run has only the standard library.
    from pybots_worker.contract import InterpreterResult, InterpreterSpecification, InterpreterStatus
    from pybots_worker.interpreters.pack import pack_tree

    specification = InterpreterSpecification.model_validate_json((folder / "specification.json").read_bytes())
    tree = folder.parent / "tree"
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    (tree / "bin" / "python3").write_text(specification.commit)
    result = InterpreterResult(
        key=specification.key,
        status=InterpreterStatus.PROVEN,
        clean_build=True,
        phases=[],
        seconds=1,
        artifact=pack_tree(tree, folder),
    )
    (folder / "result.json").write_text(result.model_dump_json())


if __name__ == "__main__":
    verb = sys.argv[1]
    if verb == "run":
        run(Path.cwd())
    elif sys.flags.isolated:
        # The rest needs our own packages.
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    elif verb == "build":
        build(Path.cwd())
    else:
        from pybots_worker.commands import main

        main(sys.argv[1:])
