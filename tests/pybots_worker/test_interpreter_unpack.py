from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.manifest import LinkEntry, Manifest, describe_tree, find_problem
from pybots_worker.interpreters.pack import pack_tree
from pybots_worker.interpreters.unpack import ArchiveRejectedError, unpack_artifact

HELLO = b"hello\n"


def make_tree(tree: Path) -> Path:
    (tree / "bin").mkdir(parents=True)
    (tree / "lib" / "empty").mkdir(parents=True)
    (tree / "bin" / "python3.15").write_bytes(b"\x7fELF")
    (tree / "bin" / "python3.15").chmod(0o755)
    (tree / "bin" / "python3").symlink_to("python3.15")
    (tree / "lib" / "up").symlink_to("../bin/python3")
    (tree / "lib" / "os.py").write_bytes(HELLO)
    return tree


def file_entry(path: str, content: bytes = HELLO, **changes: Any) -> dict[str, Any]:
    sha = hashlib.sha256(content).hexdigest()
    entry = {"kind": "file", "path": path, "executable": False, "size": len(content), "sha256": sha}
    return entry | changes


def link_entry(path: str, target: str) -> dict[str, Any]:
    return {"kind": "link", "path": path, "target": target}


def folder_entry(path: str) -> dict[str, Any]:
    return {"kind": "folder", "path": path}


def write_archive(
    path: Path, entries: list[dict[str, Any]], members: list[tuple[tarfile.TarInfo, bytes]]
) -> str:
    """Write an archive by hand; returns the digest of its manifest."""
    manifest = json.dumps({"entries": entries}).encode()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for info, content in [(member("manifest.json", manifest), manifest), *members]:
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstandard.compress(plain.getvalue()))
    return hashlib.sha256(manifest).hexdigest()


def member(
    name: str, content: bytes = HELLO, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    info.type, info.linkname = kind, link
    return info


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    tree, output, place = make_tree(tmp_path / "tree"), tmp_path / "output", tmp_path / "place"
    output.mkdir()
    artifact = pack_tree(tree, output)
    archive = output / artifact.archive
    assert artifact.archive_sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (artifact.archive_bytes, artifact.tree_bytes) == (archive.stat().st_size, 4 + len(HELLO))
    unpack_artifact(archive, artifact.digest, place)
    assert describe_tree(place) == describe_tree(tree)
    assert os.access(place / "lib" / "up", os.X_OK)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in place.rglob("*") if not path.is_symlink()}
    assert modes == {"bin": 0o555, "python3.15": 0o555, "lib": 0o555, "empty": 0o555, "os.py": 0o444}
    remove_tree(place)
    assert not place.exists()


def test_the_archive_depends_on_the_tree_alone(tmp_path: Path) -> None:
    found = []
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
HOSTILE: dict[str, tuple[list[dict[str, Any]], list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "absolute path": (
        [file_entry("/tmp/evil")],
        [(member("tree//tmp/evil"), HELLO)],
        "not a plain relative path",
    ),
    "parent path": ([file_entry("../evil")], [(member("tree/../evil"), HELLO)], "not a plain relative path"),
    "path through the parent": (
        [FOLDER, file_entry("lib/../../evil")],
        [(member("tree/lib/../../evil"), HELLO)],
        "not a plain relative path",
    ),
    "backslash": ([file_entry("a\\..\\evil")], [(member("tree/a\\..\\evil"), HELLO)], "not a plain"),
    "absolute link": ([link_entry("evil", "/etc/passwd")], [], "outside"),
    "link to the parent": ([link_entry("evil", "../evil")], [], "outside"),
    "link to the tree itself": ([FOLDER, link_entry("lib/evil", "..")], [], "outside"),
    "link that goes down and up": ([link_entry("evil", "lib/../../evil")], [], "outside"),
    "file below a link": (
        [link_entry("lib", "bin"), file_entry("lib/evil")],
        [(member("tree/lib/evil"), HELLO)],
        "not in a folder of this tree",
    ),
    "file below nothing": ([file_entry("lib/evil")], [(member("tree/lib/evil"), HELLO)], "not in a folder"),
    "named twice": ([FOLDER, FOLDER], [], "named twice"),
    "symbolic link as a member": (
        [file_entry("evil")],
        [(member("tree/evil", b"", tarfile.SYMTYPE, "/etc/passwd"), b"")],
        "not a regular file",
    ),
    "hard link as a member": (
        [file_entry("evil")],
        [(member("tree/evil", b"", tarfile.LNKTYPE, "/etc/passwd"), b"")],
        "not a regular file",
    ),
    "device as a member": (
        [file_entry("evil")],
        [(member("tree/evil", b"", tarfile.CHRTYPE), b"")],
        "not a regular file",
    ),
    "not in the manifest": (
        [file_entry("a")],
        [(member("tree/a"), HELLO), (member("tree/b"), HELLO)],
        "not in its manifest",
    ),
    "not in the archive": ([file_entry("a")], [], "not where it should be"),
    "another file": ([file_entry("a")], [(member("tree/a"), b"jello\n")], "not the file"),
    "another size": ([file_entry("a")], [(member("tree/a", b"hello"), b"hello")], "not the file"),
    "more than a disk holds": (
        [file_entry("a", size=1 << 50)],
        [(member("tree/a"), HELLO)],
        "manifest cannot",
    ),
    "more than we take": (
        [file_entry(name, size=4 << 30) for name in "ab"],
        [(member("tree/a"), HELLO)],
        "more than",
    ),
    "unknown kind": ([{"kind": "device", "path": "a"}], [], "manifest cannot be read"),
    "unknown key": ([file_entry("a", owner="root")], [(member("tree/a"), HELLO)], "manifest cannot be read"),
}


@pytest.mark.parametrize(("entries", "members", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_rejected_and_leaves_nothing(
    tmp_path: Path,
    entries: list[dict[str, Any]],
    members: list[tuple[tarfile.TarInfo, bytes]],
    reason: str,
) -> None:
    archive, inside = tmp_path / "a.tar.zst", tmp_path / "inside"
    inside.mkdir()
    digest = write_archive(archive, entries, members)
    with pytest.raises(ArchiveRejectedError, match=reason):
        unpack_artifact(archive, digest, inside / "place")
    assert everything_in(tmp_path) == ["a.tar.zst", "inside"]


def test_a_good_archive_made_by_hand_is_taken(tmp_path: Path) -> None:
    """Without it, the hostile ones might be rejected for another reason than theirs."""
    archive = tmp_path / "a.tar.zst"
    digest = write_archive(archive, [FOLDER, file_entry("lib/a")], [(member("tree/lib/a"), HELLO)])
    unpack_artifact(archive, digest, tmp_path / "place")
    assert (tmp_path / "place" / "lib" / "a").read_bytes() == HELLO


def test_another_digest_is_rejected(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.zst"
    write_archive(archive, [], [])
    with pytest.raises(ArchiveRejectedError, match="the manifest's digest is"):
        unpack_artifact(archive, "0" * 64, tmp_path / "place")


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -20])
def test_a_cut_archive_is_rejected(tmp_path: Path, cut: int) -> None:
    output = tmp_path / "output"
    output.mkdir()
    artifact = pack_tree(make_tree(tmp_path / "tree"), output)
    archive = output / artifact.archive
    data = archive.read_bytes()
    archive.write_bytes(data[:cut] + (b"junk" if cut == 0 else b""))
    with pytest.raises(ArchiveRejectedError):
        unpack_artifact(archive, artifact.digest, tmp_path / "place")
    assert everything_in(tmp_path / "output") == ["artifact.tar.zst"]
    assert not (tmp_path / "place").exists()


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
