"""Runs Django's own suite in parts, one after the other: `python -m pybots_django_parts 12 runtests.py [its options]`.

Much of what a test costs there grows with the number of installed apps, and the runner installs the apps of every
folder that it is to test. The parts together are what it collects by itself: each of its folders is in one of them.
Where single tests are asked for, only their folders are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pybots_asked  # type: ignore[import-not-found]
import pybots_report  # type: ignore[import-not-found]

FOLDERS = "import json, runtests; print(json.dumps(sorted(runtests.get_test_modules(gis_enabled=False))))"


def main() -> None:
    """Run every part, report them as one, and end as the first that failed; a crash ends the run at once."""
    parts, command = int(sys.argv[1]), [sys.executable, *sys.argv[2:]]
    report = pybots_report.open_report("django")
    folders = test_folders()
    wanted = wanted_folders(folders)
    ends, failed = [], 0
    for number in range(parts):
        folders_of_part = [folder for folder in folders[number::parts] if folder in wanted]
        if not folders_of_part:
            continue
        print("pybots: part %d of %d" % (number + 1, parts), file=sys.stderr, flush=True)
        status, end = run_part(report, [*command, *folders_of_part])
        if status < 0:
            os.kill(os.getpid(), -status)
        failed = failed or status
        ends.append(end)
    if all(ends):
        report.end(sum(end["collected"] for end in ends), sum(end["deselected"] for end in ends))
    sys.exit(failed)


def test_folders() -> list[str]:
    """List the folders that Django's runner would test, as it finds them."""
    answer = subprocess.check_output([sys.executable, "-c", FOLDERS], text=True, timeout=120)
    folders: list[str] = json.loads(answer.splitlines()[-1])
    return folders


def wanted_folders(folders: list[str]) -> set[str]:
    """List those that asked tests are in: all of them for the whole suite, or to see how collecting goes."""
    asked = pybots_asked.read_asked()
    if asked is None or not asked.names:
        return set(folders)
    asked.told()
    return set(folders).intersection(asked.folders())


def run_part(report: pybots_report.Report, command: list[str]) -> tuple[int, dict[str, int]]:
    """Run one part and pass its lines on as they come; returns its exit status, and its last line if it had one."""
    reading, writing = os.pipe()
    environment = dict(os.environ, PYBOTS_REPORT="/dev/fd/%d" % writing)
    with subprocess.Popen(command, env=environment, pass_fds=[writing]) as process:
        os.close(writing)
        end: dict[str, int] = {}
        with open(reading, encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                if "end" in line:
                    end = line
                elif "pybots" not in line:
                    report.write(line)
    return process.returncode, end


if __name__ == "__main__":
    main()
