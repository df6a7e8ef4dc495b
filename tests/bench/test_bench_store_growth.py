"""The parts of bench (b) that need no CPython: which commits are cut, how a full archive is made, what comes out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.store_commits import Change, Releases, choose, git
from bench.store_growth import full_archive, measure, split
from pybots_worker.contract import MANIFEST_FILE
from pybots_worker.interpreters.manifest import read_manifest
from pybots_worker.interpreters.pack import INSTALLED_FOLDER, pack_tree

OLD = {
    "Lib/a.py": "1",
    "Lib/b.py": "1",
    "Lib/test/test_a.py": "1",
    "Lib/x/tests/y.py": "1",
    "Python/c.c": "1",
}
NEW = dict.fromkeys(OLD, "2") | {"Lib/b.py": "1", "Lib/new.py": "2", "Python/c.h": "2"}


def two_releases(folder: Path) -> Releases:
    work = folder / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True, timeout=60)
    shas = []
    for files in (OLD, NEW):
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(content)
        git(work, "add", ".")
        git(work, "-c", "user.name=x", "commit", "-q", "-m", "release")
        shas.append(git(work, "rev-parse", "HEAD").strip())
    return Releases(work / ".git", shas[0], shas[1])


def test_a_commit_brings_one_installed_file_and_nothing_else(tmp_path: Path) -> None:
    releases = two_releases(tmp_path)
    assert [change.path for change in releases.changes("Lib")] == ["Lib/a.py"]
    (c,) = releases.changes("C")
    first = releases.commit(releases.old, c)
    second = releases.commit(first, releases.changes("Lib")[0])
    assert git(releases.repository, "diff", "--name-only", releases.old, second).split() == [
        "Lib/a.py",
        "Python/c.c",
    ]
    assert git(releases.repository, "show", f"{second}:Lib/a.py") == "2"
    assert git(releases.repository, "rev-list", "--count", f"{releases.old}..{second}").strip() == "2"


def test_the_same_seed_draws_the_same_commits() -> None:
    library = [Change(f"Lib/{number}.py", "100644", "0") for number in range(50)]
    c = [Change(f"Python/{number}.c", "100644", "0") for number in range(50)]
    drawn = choose(library, c, (9, 4), 3)
    assert drawn == choose(library, c, (9, 4), 3) != choose(library, c, (9, 4), 4)
    first, spare = split(drawn, 6, 2)
    assert sorted(change.kind for change in first) == ["C"] * 2 + ["Lib"] * 6
    assert sorted(change.kind for change in spare) == ["C"] * 2 + ["Lib"] * 3


def test_the_peer_packs_everything(tmp_path: Path) -> None:
    tree, output = tmp_path / "tree", tmp_path / "output"
    tree.mkdir()
    output.mkdir()
    (tree / "a").write_bytes(bytes(range(256)) * 100)
    small = pack_tree(tree, output)
    manifest = read_manifest((output / MANIFEST_FILE).read_bytes(), small.digest)
    one = full_archive(manifest, output / INSTALLED_FOLDER)
    (tree / "b").write_bytes(Path(__file__).read_bytes())
    large = pack_tree(tree, output)
    manifest = read_manifest((output / MANIFEST_FILE).read_bytes(), large.digest)
    assert 0 < one < full_archive(manifest, output / INSTALLED_FOLDER)
    assert measure(tree)[0] == 25600 + len(Path(__file__).read_bytes())
