"""Builds per second and memory of a master with few real and many virtual builders, beside one with real ones only.

Both have the farm's two settings: a pooled SQLite engine, and builders ranked from memory; ours has besides what the
farm's own master does (`farm.master.make_quicker`). Both are given the same requests, one a project, for as many local
workers; a build runs `true`. A farm asks for one interpreter's runs at once, and seldom for more than it can do.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping

import click

from bench.command import bench
from bench.figures import Aim, Comparison, Findings, Samples, at_least

AIM = 3
MASTER_SECONDS = 600
OURS, PEER = "ours", "peer"


@bench("builds")
@click.option("--projects", default=1000, show_default=True, help="Builders that people see.")
@click.option("--real", default=8, show_default=True, help="Real builders of ours; the peer's are all real.")
@click.option("--workers", default=8, show_default=True, help="Local workers; each builder has all of them.")
@click.option(
    "--requests", default=60, show_default=True, help="Builds asked for at once: an interpreter's runs."
)
@click.option(
    "--queue", default=500, show_default=True, help="Builds asked for at once: more than can be done."
)
@click.option("--seconds", default=12.0, show_default=True, help="How long builds are counted at most.")
@click.option("--rounds", default=2, show_default=True, help="Measurements of each, in turn.")
def main(
    projects: int, real: int, workers: int, requests: int, queue: int, seconds: float, rounds: int
) -> Findings:
    """Run the two kinds of master in turn: start, count builds for a while, stop; start and stop again."""
    found: dict[str, dict[str, list[float]]] = {OURS: defaultdict(list), PEER: defaultdict(list)}
    builders = {OURS: real, PEER: projects}
    for number in range(rounds):
        for side in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
            with tempfile.TemporaryDirectory() as folder:
                command = [folder, f"--builders={builders[side]}", f"--projects={projects}"]
                command += [f"--workers={workers}", f"--seconds={seconds}"]
                lives = {
                    "": _master(*command, f"--requests={2 * workers}", "--steady"),
                    "burst_": _master(*command, f"--requests={requests}"),
                    "queue_": _master(*command, f"--requests={queue}"),
                    "again_": _master(*command),
                }
            for prefix, facts in lives.items():
                for name, value in facts.items():
                    found[side][prefix + name].append(value)
    return _findings(found, real, projects, requests, queue)


def _master(*options: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.builds_master", *options],
        stdout=subprocess.PIPE,
        text=True,
        timeout=MASTER_SECONDS,
        check=True,
    )
    facts: dict[str, float] = {}
    for line in done.stdout.splitlines():
        facts |= json.loads(line)
    return facts


def _findings(
    found: Mapping[str, Mapping[str, list[float]]], real: int, projects: int, requests: int, queue: int
) -> Findings:
    what = {OURS: f"{real} real and {projects} virtual builders", PEER: f"{projects} real builders"}

    def comparison(title: str, name: str, unit: str, aim: Aim | None = None) -> Comparison:
        ours, peer = (Samples(what[side], unit, tuple(found[side][name])) for side in (OURS, PEER))
        return Comparison(title, ours, peer, aim)

    rate, start = "builds_per_second", "start_seconds"
    return Findings(
        (
            comparison("a build asked for whenever one ends, few waiting", rate, "/s", at_least(AIM)),
            comparison(f"{requests} builds asked for at once", f"burst_{rate}", "/s", at_least(AIM)),
            comparison(f"{queue} builds asked for at once", f"queue_{rate}", "/s", at_least(AIM)),
            comparison("resident memory with those asked for", "queue_resident_mb", "MB"),
            comparison("processor time of a build, few waiting", "processor_ms", "ms"),
            comparison("processor time of a build, many waiting", "queue_processor_ms", "ms"),
            comparison("first start, with an empty database", start, "s"),
            comparison("start with what was asked for and not done", f"again_{start}", "s"),
            comparison("stop with what was asked for and not done", "queue_stop_seconds", "s"),
        )
    )


if __name__ == "__main__":
    main()
