"""The one tree of a (branch, variant): where it is, who holds it, and what was last built in it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pybots_worker.interpreters.folders import remove_leftovers, remove_tree
from pybots_worker.interpreters.plan import Built, Wanted

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_POLL_SECONDS = 0.2


class TreeBusyError(Exception):
    """Another build has held the tree for longer than we were ready to wait."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The folder of one (branch, variant): its source and build, the staged installation, the marker."""

    home: Path

    @property
    def source(self) -> Path:
        """The git working tree, built in place."""
        return self.home / "source"

    @property
    def staging(self) -> Path:
        """DESTDIR of `make install`."""
        return self.home / "staging"

    @property
    def proof(self) -> Path:
        """Where the packed interpreter is unpacked to be proven; it never exists during a build."""
        return self.home / "proof"

    @property
    def proof_work(self) -> Path:
        """Where the proof makes its files; it never exists during a build."""
        return self.home / "proof-work"

    @property
    def temporary(self) -> Path:
        """TMPDIR of what is built, so that what a killed compiler leaves is found again."""
        return self.home / "temporary"

    @property
    def marker(self) -> Path:
        """What the last good build was made from; absent while the tree is in an unknown state."""
        return self.home / "built.json"

    @property
    def packed(self) -> Path:
        """The digests of the files of the last proven interpreter, one a line: most of them the master has."""
        return self.home / "packed"

    def last_packed(self) -> set[str]:
        """Read which files the last proven interpreter had; none where that is not known."""
        try:
            return set(self.packed.read_text("ascii").split())
        except (OSError, ValueError):
            return set()

    def save_packed(self, digests: Iterable[str]) -> None:
        """Remember the files of a proven interpreter; what is lost of that costs a question more."""
        self.packed.write_text("\n".join(digests), "ascii")

    def last_built(self) -> Built | None:
        """Read the marker; None where there is none, or none that can be read."""
        try:
            saved = json.loads(self.marker.read_text("utf-8"))
            wanted = saved["wanted"]
            made_from = Wanted(
                str(wanted["commit"]),
                tuple(map(str, wanted["configure"])),
                str(wanted["compiler"]),
                str(wanted.get("method", "")),
            )
            return Built(made_from, float(saved["saved"]), str(saved.get("artifact", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save_built(self, built: Built) -> None:
        """Write the marker, whole or not at all."""
        beside = self.marker.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as stream:
            json.dump(asdict(built), stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.marker)

    def forget_built(self) -> None:
        """Remove the marker: from here on the tree is in an unknown state."""
        self.marker.unlink(missing_ok=True)

    @contextlib.contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Rename source and staging aside; `claim_tree` puts them back should we be killed meanwhile."""
        try:
            for path in (self.source, self.staging):
                path.rename(_hidden(path))
            yield
        finally:
            self.put_back()

    def put_back(self) -> None:
        """Undo `out_of_reach`, however far it came; nothing happens where nothing is hidden."""
        for path in (self.source, self.staging):
            if _hidden(path).exists():
                remove_tree(path)
                _hidden(path).rename(path)


@contextlib.contextmanager
def claim_tree(trees: Path, branch: str, variant: str, wait_seconds: float) -> Iterator[Tree]:
    """Hold the tree of (branch, variant) alone, with what a killed build left in disorder put right.

    Raises TreeBusyError where another process keeps it for longer than `wait_seconds`.
    """
    home = trees.absolute() / _folder_name(branch) / _folder_name(variant)
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w", encoding="utf-8") as lock:
        _wait_for(lock.fileno(), home, wait_seconds)
        tree = Tree(home)
        tree.put_back()
        remove_leftovers(home)
        for path in (tree.proof, tree.proof_work, tree.temporary, home / "source.new"):
            remove_tree(path)
        tree.temporary.mkdir()
        yield tree
        remove_tree(tree.temporary)


def _hidden(path: Path) -> Path:
    return path.with_name(f"{path.name}.out-of-reach")


def _folder_name(name: str) -> str:
    """The name itself where it is a plain one; else one that no other name has."""
    if _PLAIN.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"x-{re.sub('[^A-Za-z0-9._-]', '_', name)[:60]}-{digest}"


def _wait_for(lock: int, home: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                msg = f"another build has held {home} for {wait_seconds:.0f} seconds"
                raise TreeBusyError(msg) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
