"""Bench (b): bytes added to the store by a commit, against a full archive of the interpreter each."""

from __future__ import annotations

import io
import shutil
import statistics
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import zstandard

from bench.command import bench
from bench.figures import Comparison, Findings, Samples, at_most
from bench.store_commits import Change, Releases, choose, get_releases
from pybots.interpreters.artifact_store import ArtifactStore
from pybots_worker.contract import (
    MANIFEST_FILE,
    PACK_FILE,
    WANTED_FILE,
    Artifact,
    InterpreterSpecification,
)
from pybots_worker.interpreters.build import build_interpreter
from pybots_worker.interpreters.manifest import Manifest, read_manifest
from pybots_worker.interpreters.pack import INSTALLED_FOLDER, pack_wanted

ARCHIVE_LEVEL = 6
"""As the first Pybots packed."""


@dataclass
class Growth:
    """Builds commits with a worker's own code, and stores them with the master's."""

    releases: Releases
    work: Path
    kinds: list[str] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    on_disk: list[int] = field(default_factory=list)
    archives: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    artifact: Artifact | None = None

    def __post_init__(self) -> None:
        self.store = ArtifactStore(self.work / "store")

    def first(self) -> int:
        """Build and store the older release; return what it takes in the store."""
        if not self._build(self.releases.old, "first"):
            raise click.ClickException(f"the older release cannot be built: {self.failed}")
        return self._store()[0]

    def follow(self, changes: list[Change], spare: list[Change]) -> None:
        """Build and store commits, each upon the last good one.

        Where one does not work without another, or changes nothing on this system, a spare one of its kind comes.
        """
        head, left, waiting = self.releases.old, list(changes), list(spare)
        while left:
            change = left.pop(0)
            commit, before = self.releases.commit(head, change), self.artifact
            if not self._build(commit, change.kind) or self.artifact == before:
                self.artifact = before
                self.failed.append(change.path)
                other = next((each for each in waiting if each.kind == change.kind), None)
                if other is not None:
                    waiting.remove(other)
                    left.insert(0, other)
                continue
            added, on_disk, archive = self._store()
            head = commit
            self.kinds.append(change.kind)
            self.added.append(added)
            self.on_disk.append(on_disk)
            self.archives.append(archive)
            click.echo(f"  {len(self.added):2} {change.kind:3} {change.path}: {added:,} of {archive:,} bytes")

    def _build(self, commit: str, kind: str) -> bool:
        output = self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
        specification = InterpreterSpecification(
            key="bench", git=str(self.releases.repository), commit=commit, branch="main", variant="default"
        )
        cache = self.work / "cache"
        made = build_interpreter(specification, trees=cache / "trees", output=output, cache=cache, echo=False)
        self.seconds.setdefault(kind, []).append(made.seconds)
        self.artifact = made.artifact
        if made.artifact is None:
            click.echo(f"  {commit[:12]}: {made.status}: {made.detail}")
        return made.artifact is not None

    def _store(self) -> tuple[int, int, int]:
        """Do what master and worker do between them; return the bytes added, those on the disk, and an archive's."""
        assert self.artifact is not None
        output, before = self.work / "output", measure(self.store.folder)
        manifest = read_manifest((output / MANIFEST_FILE).read_bytes(), self.artifact.digest)
        lacking = self.store.lacking(manifest)
        if lacking:
            (output / WANTED_FILE).write_text("\n".join(lacking))
            pack_wanted(output, self.artifact.digest)
            with (output / PACK_FILE).open("rb") as stream:
                self.store.take_in_files(stream, manifest)
        self.store.keep(manifest)
        after = measure(self.store.folder)
        archive = full_archive(manifest, output / INSTALLED_FOLDER)
        return after[0] - before[0], after[1] - before[1], archive


def measure(folder: Path) -> tuple[int, int]:
    """Return the bytes of all files, and what they take on the disk."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(each.st_size for each in found), sum(each.st_blocks * 512 for each in found)


def full_archive(manifest: Manifest, kept: Path) -> int:
    """Pack everything into one archive, as the first Pybots did for every artifact; return its bytes."""
    sink: Any = _Counter()
    with (
        zstandard.ZstdCompressor(level=ARCHIVE_LEVEL, threads=2).stream_writer(sink) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        canonical = manifest.canonical()
        tar.addfile(_member("manifest.json", len(canonical)), io.BytesIO(canonical))
        for entry in manifest.files():
            with (kept / entry.sha256).open("rb") as content:
                tar.addfile(_member(f"tree/{entry.path}", entry.size), content)
    return int(sink.size)


class _Counter(io.RawIOBase):
    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        self.size += length
        return length


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


@bench("store_growth")
@click.option("--old", default="3.13.5", show_default=True, help="The release to begin with.")
@click.option("--new", default="3.13.15", show_default=True, help="The release that the changes are from.")
@click.option("--commits", default=30, show_default=True, help="How many commits in all.")
@click.option("--c-commits", default=3, show_default=True, help="How many of them change a C file.")
@click.option("--seed", default=3, show_default=True, help="Which files, and in which order.")
@click.option(
    "--sources",
    default=Path.home() / ".cache" / "pybots-bench",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the two releases are kept (150 MB).",
)
def main(old: str, new: str, commits: int, c_commits: int, seed: int, sources: Path) -> Findings:
    """Build commits that each bring one file from a release to a later one, and see what the store grows by.

    The commits are built by a worker's own code (a change in Lib/ without make, one in C with make, in place) and
    stored by the master's; beside that, each is packed into one archive, as every artifact used to be.
    """
    sources.mkdir(parents=True, exist_ok=True)
    releases = get_releases(sources, old, new)
    library, c = releases.changes("Lib"), releases.changes("C")
    spare = 5  # for files that do not work without another one, or are another system's
    counts = (commits - c_commits) + spare, c_commits + (spare if c_commits else 0)
    changes, others = split(choose(library, c, counts, seed), commits - c_commits, c_commits)
    with tempfile.TemporaryDirectory(prefix="pybots-bench-", ignore_cleanup_errors=True) as work:
        growth = Growth(releases, Path(work))
        first = growth.first()
        growth.follow(changes, others)
    return _findings(growth, first, (len(library), len(c)), (old, new, seed))


def split(drawn: list[Change], library: int, c: int) -> tuple[list[Change], list[Change]]:
    """Return the first so many of each kind, in the order drawn, and the others."""
    wanted = {"Lib": library, "C": c}
    first: list[Change] = []
    spare: list[Change] = []
    for change in drawn:
        (first if wanted[change.kind] else spare).append(change)
        wanted[change.kind] = max(0, wanted[change.kind] - 1)
    return first, spare


def _findings(
    growth: Growth, first: int, candidates: tuple[int, int], asked: tuple[str, str, int]
) -> Findings:
    by_kind = {
        kind: tuple(float(a) for a, k in zip(growth.added, growth.kinds, strict=True) if k == kind)
        for kind in ("Lib", "C")
    }
    count = {kind: len(values) for kind, values in by_kind.items()}
    figures = [
        Samples(f"added by a commit in {kind}", "B", values) for kind, values in by_kind.items() if values
    ]
    seconds = {kind: statistics.median(values) for kind, values in growth.seconds.items()}
    return Findings(
        (
            Comparison(
                "bytes added to the store by a commit, against a full archive of it",
                Samples("added", "B", tuple(map(float, growth.added))),
                Samples("archive", "B", tuple(map(float, growth.archives))),
                at_most(0.01),
            ),
        ),
        figures=(
            *figures,
            Samples("added, in blocks of this disk", "B", tuple(map(float, growth.on_disk))),
            Samples("the first artifact, nothing being there", "B", (float(first),)),
        ),
        notes=(
            f"{count['Lib']} commits of one installed Lib/*.py and {count['C']} of one C file, drawn with seed "
            f"{asked[2]} from the {candidates[0]} and {candidates[1]} that differ between {asked[0]} and {asked[1]}",
            f"left out, because they do not work alone, or change nothing here: {', '.join(growth.failed) or 'none'}",
            "seconds of a build, median: "
            + ", ".join(f"{kind} {value:.1f}" for kind, value in seconds.items()),
        ),
    )


if __name__ == "__main__":
    main()
