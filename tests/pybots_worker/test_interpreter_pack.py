"""An installed tree is described, kept, laid out again and packed; what is hostile or changed is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.contract import MANIFEST_FILE, PACK_FILE, WANTED_FILE, Artifact
from pybots_worker.interpreters import manifest as subject
from pybots_worker.interpreters.file_stream import decompress, frames
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.lay_out import lay_out
from pybots_worker.interpreters.manifest import (
    Digests,
    LinkEntry,
    Manifest,
    ManifestRejectedError,
    describe_tree,
    find_problem,
    hash_file,
    read_manifest,
)
from pybots_worker.interpreters.pack import (
    PackError,
    forget_packed,
    keep_tree,
    lay_out_packed,
    pack_new,
    pack_tree,
    pack_wanted,
)

HELLO = b"hello\n"


def make_tree(tree: Path) -> Path:
    (tree / "bin").mkdir(parents=True)
    (tree / "lib" / "empty").mkdir(parents=True)
    (tree / "bin" / "python3.15").write_bytes(b"\x7fELF")
    (tree / "bin" / "python3.15").chmod(0o755)
    (tree / "bin" / "python3").symlink_to("python3.15")
    (tree / "lib" / "up").symlink_to("../bin/python3")
    (tree / "lib" / "os.py").write_bytes(HELLO)
    (tree / "lib" / "same.py").write_bytes(HELLO)
    return tree


def file_entry(path: str, content: bytes = HELLO, **changes: Any) -> dict[str, Any]:
    sha = hashlib.sha256(content).hexdigest()
    entry = {"kind": "file", "path": path, "executable": False, "size": len(content), "sha256": sha}
    return entry | changes


def link_entry(path: str, target: str) -> dict[str, Any]:
    return {"kind": "link", "path": path, "target": target}


def folder_entry(path: str) -> dict[str, Any]:
    return {"kind": "folder", "path": path}


def written(entries: list[dict[str, Any]]) -> tuple[bytes, str]:
    """A manifest by hand, and its digest."""
    data = json.dumps({"entries": entries}, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return zstandard.compress(data), hashlib.sha256(data).hexdigest()


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, Path, Artifact]:
    tree, output = make_tree(tmp_path / "tree"), tmp_path / "output"
    output.mkdir()
    return tree, output, pack_tree(tree, output)


def test_what_is_laid_out_is_what_was_packed(packed: tuple[Path, Path, Artifact], tmp_path: Path) -> None:
    tree, output, artifact = packed
    place = tmp_path / "place"
    assert artifact.tree_bytes == 4 + 2 * len(HELLO)
    lay_out_packed(output, artifact, place)
    assert describe_tree(place) == describe_tree(tree)
    assert os.access(place / "lib" / "up", os.X_OK)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in place.rglob("*") if not path.is_symlink()}
    plain = {"os.py": 0o444, "same.py": 0o444}
    assert modes == {"bin": 0o555, "python3.15": 0o555, "lib": 0o555, "empty": 0o555, **plain}
    remove_tree(place)
    assert not place.exists()


def test_it_stays_as_it_was_when_the_tree_is_built_anew(
    packed: tuple[Path, Path, Artifact], tmp_path: Path
) -> None:
    """Another build takes the tree as soon as this one ended."""
    tree, output, artifact = packed
    expected = describe_tree(tree)
    (tree / "new").write_bytes(b"jello\n")
    (tree / "new").replace(tree / "lib" / "os.py")
    (tree / "bin" / "python3.15").unlink()
    lay_out_packed(output, artifact, tmp_path / "place")
    assert describe_tree(tmp_path / "place") == expected


def test_what_was_written_to_in_place_is_noticed(packed: tuple[Path, Path, Artifact], tmp_path: Path) -> None:
    tree, output, artifact = packed
    with (tree / "lib" / "os.py").open("r+b") as stream:
        stream.write(b"j")
    with pytest.raises(PackError, match=r"lib/os\.py is not what was packed"):
        lay_out_packed(output, artifact, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_the_digest_depends_on_the_tree_alone(tmp_path: Path) -> None:
    found: list[Artifact] = []
    for name in ("one", "two"):
        tree = make_tree(tmp_path / name)
        os.utime(tree / "lib" / "os.py", (len(name), 1000 + len(found)))
        (tree / "lib" / "os.py").chmod(0o600 if found else 0o664)
        (tmp_path / f"{name}-output").mkdir()
        found.append(pack_tree(tree, tmp_path / f"{name}-output"))
    assert found[0] == found[1]


def test_the_executable_bit_and_the_target_count(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    digests = {describe_tree(tree).digest()}
    (tree / "lib" / "os.py").chmod(0o755)
    digests.add(describe_tree(tree).digest())
    (tree / "lib" / "up").unlink()
    (tree / "lib" / "up").symlink_to("../bin/python3.15")
    digests.add(describe_tree(tree).digest())
    assert len(digests) == 3


def test_only_what_is_wanted_is_packed_and_all_is_forgotten(packed: tuple[Path, Path, Artifact]) -> None:
    _, output, artifact = packed
    digest = hashlib.sha256(HELLO).hexdigest()
    (output / WANTED_FILE).write_text(digest)
    assert pack_wanted(output, artifact.digest) == (output / PACK_FILE).stat().st_size
    found = io.BytesIO()
    with (output / PACK_FILE).open("rb") as stream:
        for frame in frames(stream, {digest: len(HELLO)}):
            decompress(frame, frame.digest, frame.size, found.write)
    assert found.getvalue() == HELLO
    forget_packed(output)
    assert [path.name for path in output.iterdir()] == [WANTED_FILE]
    forget_packed(output)


@pytest.mark.parametrize("wanted", ["0" * 64, "../../etc/passwd", "x"])
def test_the_master_gets_nothing_but_what_was_packed(
    packed: tuple[Path, Path, Artifact], wanted: str
) -> None:
    _, output, artifact = packed
    (output / WANTED_FILE).write_text(wanted)
    with pytest.raises(PackError, match="files that were not packed"):
        pack_wanted(output, artifact.digest)
    with pytest.raises(PackError, match="is not packed here"):
        pack_wanted(output, "0" * 64)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "lib/../../outside"])
def test_a_tree_that_points_outside_is_not_packed(tmp_path: Path, target: str) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "lib" / "link").symlink_to(target)
    with pytest.raises(ValueError, match="outside of this tree"):
        pack_tree(tree, tmp_path)


def test_a_special_file_is_not_packed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    os.mkfifo(tree / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a file"):
        pack_tree(tree, tmp_path)


FOLDER = folder_entry("lib")
HOSTILE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "absolute path": ([file_entry("/tmp/evil")], "not a plain relative path"),
    "parent path": ([file_entry("../evil")], "not a plain relative path"),
    "path through the parent": ([FOLDER, file_entry("lib/../../evil")], "not a plain relative path"),
    "backslash": ([file_entry("a\\..\\evil")], "not a plain"),
    "a name that no disk takes": ([file_entry("ä" * 128)], "not a plain"),
    "no character": ([file_entry("a\0b")], "not a plain"),
    "half a character": ([file_entry("a\udc80")], "cannot be read"),
    "absolute link": ([link_entry("evil", "/etc/passwd")], "outside"),
    "link to the parent": ([link_entry("evil", "../evil")], "outside"),
    "link to the tree itself": ([FOLDER, link_entry("lib/evil", "..")], "outside"),
    "link that goes down and up": ([link_entry("evil", "lib/../../evil")], "outside"),
    "file below a link": ([link_entry("lib", "bin"), file_entry("lib/evil")], "not in a folder of this tree"),
    "file below nothing": ([file_entry("lib/evil")], "not in a folder"),
    "named twice": ([FOLDER, FOLDER], "named twice"),
    "two sizes": ([file_entry("a"), file_entry("b", size=7)], "another size"),
    "more than a disk holds": ([file_entry("a", size=1 << 50)], "cannot be read"),
    "more than we take": ([file_entry(name, size=2 << 30) for name in "ab"], "more than"),
    "less than nothing": ([file_entry("a", size=-1)], "cannot be read"),
    "no digest": ([file_entry("a", sha256="../../x")], "cannot be read"),
    "unknown kind": ([{"kind": "device", "path": "a"}], "cannot be read"),
    "unknown key": ([file_entry("a", owner="root")], "cannot be read"),
    "another form": ([{**file_entry("a"), "size": 6.0}], "not written in its one form"),
}


@pytest.mark.parametrize(("entries", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_manifest_is_rejected(entries: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ManifestRejectedError, match=reason):
        read_manifest(*written(entries))


def test_a_good_manifest_made_by_hand_is_taken() -> None:
    """Without it, the hostile ones might be rejected for another reason than theirs."""
    assert read_manifest(*written([FOLDER, file_entry("lib/a"), link_entry("up", "lib/a")])).tree_bytes() == 6


def test_another_digest_a_bomb_and_junk_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    compressed, digest = written([file_entry("a")])
    with pytest.raises(ManifestRejectedError, match="the manifest's digest is"):
        read_manifest(compressed, "0" * 64)
    with pytest.raises(ManifestRejectedError, match="not compressed"):
        read_manifest(b"junk", digest)
    with pytest.raises(ManifestRejectedError):
        read_manifest(compressed[:-5], digest)
    bomb = zstandard.compress(bytes(subject.MAXIMUM_MANIFEST_BYTES + 1))
    with pytest.raises(ManifestRejectedError, match="larger than"):
        read_manifest(bomb, digest)
    monkeypatch.setattr(subject, "MAXIMUM_MANIFEST_BYTES", 10)
    with pytest.raises(ManifestRejectedError, match="larger than 10 bytes"):
        read_manifest(compressed, digest)


def test_nothing_is_laid_out_where_a_file_is_lacking(tmp_path: Path) -> None:
    manifest = read_manifest(*written([FOLDER, file_entry("lib/a"), file_entry("lib/b", b"b")]))

    def bring(entry: subject.FileEntry, path: Path) -> bool:
        path.write_bytes(HELLO)
        return entry.path == "lib/a"

    assert [entry.path for entry in lay_out(manifest, bring, tmp_path / "place")] == ["lib/b"]
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "lib", "/"]), max_size=6).map("/".join), st.integers(0, 3)
)
def test_a_link_that_is_taken_leads_inside(target: str, depth: int) -> None:
    folders = ["/".join(["lib"] * (level + 1)) for level in range(depth)]
    path = "/".join(["lib"] * depth + ["link"])
    if not target:
        return
    entries = [*({"kind": "folder", "path": name} for name in folders), link_entry(path, target)]
    manifest = Manifest.model_validate({"entries": entries})
    assert isinstance(manifest.entries[-1], LinkEntry)
    if not find_problem(manifest):
        resolved = os.path.normpath(PurePosixPath("/tree", path).parent / target)
        assert resolved.startswith("/tree/")


PATHS = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "lib", "x\0", "y\\z"]), min_size=1, max_size=4
).map("/".join)
CONTENTS = [b"", b"a", HELLO]


@given(
    st.lists(
        st.one_of(
            st.builds(file_entry, PATHS, st.sampled_from(CONTENTS)),
            st.builds(link_entry, PATHS, PATHS),
            st.builds(folder_entry, PATHS),
        ),
        max_size=6,
    )
)
def test_whatever_is_read_is_laid_out_inside_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]]
) -> None:
    try:
        manifest = read_manifest(*written(entries))
    except ManifestRejectedError:
        return
    place = tmp_path_factory.mktemp("outside") / "place"
    contents = {hashlib.sha256(data).hexdigest(): data for data in CONTENTS}

    def bring(entry: subject.FileEntry, path: Path) -> bool:
        path.write_bytes(contents[entry.sha256])
        return True

    assert lay_out(manifest, bring, place) == []
    assert [path.name for path in place.parent.iterdir()] == ["place"]
    in_order = Manifest(entries=sorted(manifest.entries, key=lambda entry: entry.path))
    assert describe_tree(place) == in_order
    remove_tree(place)


def test_the_manifest_is_what_is_sent(packed: tuple[Path, Path, Artifact]) -> None:
    _, output, artifact = packed
    manifest = read_manifest((output / MANIFEST_FILE).read_bytes(), artifact.digest)
    assert manifest.sizes() == {
        hashlib.sha256(HELLO).hexdigest(): len(HELLO),
        hashlib.sha256(b"\x7fELF").hexdigest(): 4,
    }


def packed_files(output: Path, manifest: Manifest) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with (output / PACK_FILE).open("rb") as stream:
        for frame in frames(stream, manifest.sizes()):
            content = io.BytesIO()
            decompress(frame, frame.digest, frame.size, content.write)
            found[frame.digest] = content.getvalue()
    return found


def test_what_is_not_known_is_packed_without_being_asked_for(tmp_path: Path) -> None:
    tree, output = make_tree(tmp_path / "tree"), tmp_path / "output"
    output.mkdir()
    manifest = keep_tree(tree, output)
    hello = hashlib.sha256(HELLO).hexdigest()
    elf = hashlib.sha256(b"\x7fELF").hexdigest()
    assert pack_new(output, manifest, {elf}) == (output / PACK_FILE).stat().st_size
    assert packed_files(output, manifest) == {hello: HELLO}
    forget_packed(output)
    assert pack_new(output, keep_tree(tree, output), {elf, hello}) == 0
    assert not (output / PACK_FILE).exists()


def test_what_is_too_large_waits_until_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, output = make_tree(tmp_path / "tree"), tmp_path / "output"
    output.mkdir()
    (tree / "lib" / "large").write_bytes(os.urandom(10_000))
    manifest = keep_tree(tree, output)
    for limit, packed in ((12_000, False), (16_000, True)):
        monkeypatch.setattr("pybots_worker.interpreters.pack.FIRST_PACK_BYTES", limit)
        size = pack_new(output, manifest, set())
        assert (0 < size <= limit) == packed == (output / PACK_FILE).exists()


def test_a_file_is_read_again_once_anything_about_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "tree")
    read: list[str] = []

    def hashing(path: Path) -> tuple[int, str]:
        read.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(subject, "hash_file", hashing)
    digests, before = Digests(unchanged_since=float("inf")), describe_tree(tree)
    assert sorted(read) == ["os.py", "python3.15", "same.py"]
    read.clear()
    assert describe_tree(tree, digests) == before
    assert describe_tree(tree, digests) == before
    assert len(read) == 3
    (tree / "new").write_bytes(b"jello\n")
    os.utime(tree / "new", ns=(0, (tree / "lib" / "os.py").stat().st_mtime_ns))
    (tree / "new").replace(tree / "lib" / "os.py")
    (tree / "lib" / "same.py").chmod(0o755)
    read.clear()
    after = describe_tree(tree, digests)
    assert sorted(read) == ["os.py", "same.py"]
    assert after == describe_tree(tree) != before


def test_what_changed_a_moment_ago_is_never_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, digests = make_tree(tmp_path / "tree"), Digests(unchanged_since=0.0)
    describe_tree(tree, digests)
    monkeypatch.setattr(subject, "hash_file", lambda path: (6, "0" * 64))
    (tree / "bin" / "python3.15").unlink()
    (tree / "bin" / "python3").unlink()
    (tree / "lib" / "up").unlink()
    assert {entry.sha256 for entry in describe_tree(tree, digests).files()} == {"0" * 64}
