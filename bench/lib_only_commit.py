"""From a commit seen to its proven interpreter stored, where it changes a file of Lib/, beside the same from nothing.

A real master, a real worker and the real source of CPython. The peer is a build of the same kind of commit in the same
tree, whose earlier build is forgotten: git has all but one commit already, then configure, make, make install, proof
and upload are done. Neither uses ccache. The time is the results database's: from the poll that saw the commit to the
transaction that says that the artifact is stored.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from bench.command import bench
from bench.figures import Comparison, Findings, Samples, at_most
from bench.real_farm import Made, RealFarm, git, running
from pybots.commands.demonstration.cpython_source import CPythonSource

AIM = 0.02
MODULES = ("heapq", "colorsys", "textwrap", "fractions", "bisect", "typing", "dataclasses", "argparse")
PATIENCE = 3000.0


@bench("lib_only_commit")
@click.option(
    "--git", "repository", help="CPython's repository, whose branch main is taken.", metavar="PATH|URL"
)
@click.option("--commits", default=5, show_default=True, help="Lib-only commits measured.")
@click.option(
    "--clean", default=1, show_default=True, help="Clean builds measured; with 0, the first one is the peer."
)
def main(repository: str | None, commits: int, clean: int) -> Findings:
    """Have commits made that change one module each; without --git, of the source package's CPython."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = repository or CPythonSource(folder / "source", click.echo).get(None, None).git
        farm = RealFarm(folder, source)
        with running(farm):
            first = farm.made(head(farm), PATIENCE)
            ours = [_changed(farm, number) for number in range(commits)]
            peer = [_from_nothing(farm, number) for number in range(clean)]
    return findings(first, ours, peer)


def head(farm: RealFarm) -> str:
    """Return the commit with which the trunk begins."""
    return git(farm.trunk, "rev-parse", "main")


def findings(first: Made, ours: list[Made], peer: list[Made]) -> Findings:
    """Return the comparison, and where the time of ours goes; without `peer`, the first build is it."""
    how = "in the same tree" if peer else "with all of the source fetched too, once"
    names = list(dict.fromkeys(name for made in ours for name in made.phases))
    figures = [Samples(f"ours, {name}", "s", tuple(made.phases[name] for made in ours)) for name in names]
    around = tuple(made.seconds - made.worker_seconds for made in ours)
    return Findings(
        (
            Comparison(
                "a commit that changes one file of Lib/", _times(ours), _times(peer or [first]), at_most(AIM)
            ),
        ),
        (
            *figures,
            Samples("ours, master and Buildbot", "s", around),
            Samples("the first build", "s", (first.seconds,)),
        ),
        (f"neither uses ccache; the peer is a clean build, {how}",),
    )


def _changed(farm: RealFarm, number: int) -> Made:
    name = MODULES[number % len(MODULES)]
    made = farm.made(farm.commit(f"Lib/{name}.py", f"\nchanged_by_commit = {number}\n"), PATIENCE)
    assert not made.clean, "this was to be the quick way"
    return made


def _from_nothing(farm: RealFarm, number: int) -> Made:
    farm.forget_builds()
    made = farm.made(farm.commit("Lib/statistics.py", f"\nchanged_by_commit = {number}\n"), PATIENCE)
    assert made.clean, "this was to be the long way"
    return made


def _times(made: list[Made]) -> Samples:
    return Samples("seen to stored", "s", tuple(one.seconds for one in made))


if __name__ == "__main__":
    main()
