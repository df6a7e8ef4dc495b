"""CPython's source for the demonstration, with the real apt-get and the real git, and no network."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pybots.commands.demonstration.cpython_source import CPythonSource, Trunk
from pybots.commands.demonstration.local_repository import SourceError, commit_tarball, git, head, unpack
from pybots.commands.demonstration.package_sources import PackageSource

UNREACHABLE = "file:///nonexistent/cpython"


@pytest.fixture(autouse=True)
def _no_public_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots.commands.demonstration.cpython_source.PUBLIC_REPOSITORY", UNREACHABLE)


def make_tarball(path: Path, version: str, *, mtime: int = 1_700_000_000, extra: str = "") -> Path:
    """A tarball that looks like CPython's, with an executable file and one that .gitignore names."""
    with tarfile.open(path, "w:xz") as archive:
        for name, content, mode in (
            ("configure", "#!/bin/sh\n", 0o755),
            ("README.rst", f"This is Python version {version}\n{extra}", 0o644),
            (".gitignore", "*.ignored\n", 0o644),
            (".gitattributes", "*.bat text eol=crlf\n", 0o644),
            ("made.ignored", "still part of the release\n", 0o644),
            ("PC/x.bat", "line\r\n", 0o644),
        ):
            member = tarfile.TarInfo(f"Python-{version}/{name}")
            data = content.encode()
            member.size, member.mode, member.mtime = len(data), mode, mtime
            archive.addfile(member, io.BytesIO(data))
    return path


def packages(folder: Path, *there: str, missing: tuple[str, ...] = ()) -> PackageSource:
    """A flat repository of source packages; of those in *missing* only the index entry exists."""
    folder.mkdir()
    stanzas = []
    for version in (*there, *missing):
        package = f"python3.{version.split('.')[1]}"
        tarball = make_tarball(folder / f"{package}_{version}.orig.tar.xz", version)
        dsc = folder / f"{package}_{version}-1.dsc"
        dsc.write_text(f"Format: 3.0 (quilt)\nSource: {package}\nVersion: {version}-1\n")
        stanzas.append(_stanza(package, version, [dsc, tarball]))
        if version in missing:
            tarball.unlink()
    (folder / "Sources").write_text("\n".join(stanzas))
    return PackageSource(f"file:{folder}", ("./",), (), {"Trusted": "yes"})


def _stanza(package: str, version: str, files: list[Path]) -> str:
    lines = [f"Package: {package}", f"Binary: {package}", f"Version: {version}-1", "Format: 3.0 (quilt)"]
    for heading, algorithm in (("Files", "md5"), ("Checksums-Sha256", "sha256")):
        lines.append(f"{heading}:")
        for file in files:
            data = file.read_bytes()
            lines.append(f" {hashlib.new(algorithm, data).hexdigest()} {len(data)} {file.name}")
    return "\n".join([*lines, "Directory: .", ""])


def get(folder: Path, source: PackageSource, url: str | None = None, version: str | None = None) -> Trunk:
    return CPythonSource(folder, lambda _text: None, [source]).get(url, version)


def test_the_newest_that_is_really_there(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", "3.13.5", "3.13.4", missing=("3.15.2", "3.14.10"))
    said: list[str] = []
    trunk = CPythonSource(tmp_path / "demo", said.append, [source]).get(None, None)
    assert trunk.origin == "CPython 3.13.5 from the source package python3.13 3.13.5-1"
    assert git(["-C", trunk.git, "show", "main:README.rst"]).startswith("This is Python version 3.13.5")
    assert "the public repository cannot be reached" in said[0]
    assert [text.split(" is not there")[0] for text in said[1:3]] == [
        "python3.15 3.15.2-1",
        "python3.14 3.14.10-1",
    ]


def test_the_systems_own_lists_stay_as_they_are(tmp_path: Path) -> None:
    lists = Path("/var/lib/apt/lists")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in lists.glob("*_*"))
    get(tmp_path / "demo", packages(tmp_path / "packages", "3.13.5"))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in lists.glob("*_*")) == before


def test_a_second_time_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = packages(tmp_path / "packages", "3.13.5")
    first = get(tmp_path / "demo", source)
    monkeypatch.setattr("pybots.commands.demonstration.cpython_source.SourceApt", None)
    assert get(tmp_path / "demo", source) == first
    (tmp_path / "demo").rename(tmp_path / "moved")
    moved = get(tmp_path / "moved", source)
    assert moved.commit == first.commit
    assert moved.git == str(tmp_path / "moved" / "cpython.git")


def test_an_interrupted_time_is_begun_again(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", "3.13.5")
    first = get(tmp_path / "demo", source)
    (tmp_path / "demo" / "source.json").unlink()
    assert get(tmp_path / "demo", source) == first
    (tmp_path / "demo" / "source.json").write_text('{"git": ')
    assert get(tmp_path / "demo", source) == first


def test_a_pinned_version(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", "3.13.5", "3.13.4")
    assert get(tmp_path / "demo", source, version="3.13.4").origin.startswith("CPython 3.13.4 ")
    with pytest.raises(SourceError, match=r"no source package of CPython 3\.13\.3"):
        get(tmp_path / "other", source, version="3.13.3")
    with pytest.raises(SourceError, match=r"write it like 3\.13\.5"):
        get(tmp_path / "other", source, version="newest")


def test_a_later_release_is_a_further_commit(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", "3.13.5", "3.13.6")
    first = get(tmp_path / "demo", source, version="3.13.5")
    second = get(tmp_path / "demo", source, version="3.13.6")
    history = git(["-C", second.git, "rev-list", "main"]).split()
    assert history == [second.commit, first.commit]


def test_no_package_is_there(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", missing=("3.15.2", "3.14.10"))
    with pytest.raises(SourceError, match=r"none of 2 source packages .* --git"):
        get(tmp_path / "demo", source)


def cpython_repository(folder: Path) -> Path:
    commit_tarball(folder, make_tarball(folder.with_suffix(".tar.xz"), "3.13.1"), "CPython 3.13.1")
    later = make_tarball(folder.with_suffix(".later.tar.xz"), "3.13.2", mtime=1_710_000_000)
    commit_tarball(folder, later, "CPython 3.13.2")
    git(["-C", str(folder), "tag", "v3.13.1", "main~1"])
    return folder


def test_a_repository_on_this_machine_is_followed_itself(tmp_path: Path) -> None:
    repository = cpython_repository(tmp_path / "cpython.git")
    trunk = get(tmp_path / "demo", packages(tmp_path / "packages"), url=str(repository))
    assert (trunk.git, trunk.branch, trunk.commit) == (str(repository), "main", head(repository))
    git(["-C", str(repository), "update-ref", "refs/heads/main", "main~1"])
    assert get(tmp_path / "demo", packages(tmp_path / "other")).commit == head(repository)


def test_a_repository_elsewhere_is_fetched_once(tmp_path: Path) -> None:
    repository = cpython_repository(tmp_path / "cpython.git")
    source, url = packages(tmp_path / "packages"), f"file://{repository}"
    trunk = get(tmp_path / "demo", source, url=url)
    assert (trunk.commit, trunk.branch) == (head(repository), "main")
    assert git(["-C", trunk.git, "rev-list", "--count", "main"]).strip() == "1"
    repository.rename(tmp_path / "gone.git")
    assert get(tmp_path / "demo", source, url=url) == trunk


def test_a_release_of_a_repository(tmp_path: Path) -> None:
    repository = cpython_repository(tmp_path / "cpython.git")
    url = f"file://{repository}"
    trunk = get(tmp_path / "demo", packages(tmp_path / "packages"), url=url, version="3.13.1")
    assert git(["-C", trunk.git, "show", "main:README.rst"]).startswith("This is Python version 3.13.1")


def test_a_repository_that_was_named_and_cannot_be_reached(tmp_path: Path) -> None:
    source = packages(tmp_path / "packages", "3.13.5")
    with pytest.raises(SourceError, match="Check --git"):
        get(tmp_path / "demo", source, url=UNREACHABLE)


def test_a_folder_follows_one_repository(tmp_path: Path) -> None:
    repository = cpython_repository(tmp_path / "cpython.git")
    source = packages(tmp_path / "packages", "3.13.5")
    get(tmp_path / "demo", source)
    with pytest.raises(SourceError, match="give --dir NEW_FOLDER"):
        get(tmp_path / "demo", source, url=str(repository))


def test_the_same_tarball_is_the_same_commit_for_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = make_tarball(tmp_path / "python3.13_3.13.5.orig.tar.xz", "3.13.5")
    first = commit_tarball(tmp_path / "a.git", tarball, "CPython 3.13.5")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[core]\nautocrlf = true\nfileMode = false\n[user]\nname = X\n[commit]\ngpgsign = true\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old_umask = os.umask(0o077)
    try:
        second = commit_tarball(tmp_path / "b.git", tarball, "CPython 3.13.5")
    finally:
        os.umask(old_umask)
    assert first == second
    listed = git(["-C", str(tmp_path / "a.git"), "ls-tree", "-r", "main"])
    modes = {row.split()[3]: row.split()[0] for row in listed.splitlines()}
    assert (modes["configure"], modes["README.rst"]) == ("100755", "100644")
    assert "made.ignored" in modes
    assert commit_tarball(tmp_path / "a.git", tarball, "CPython 3.13.5") == first


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/absolute-outside", tarfile.SYMTYPE),
        ("Python-3/escape", tarfile.SYMTYPE),
        ("Python-3/device", tarfile.CHRTYPE),
    ],
)
def test_a_tarball_that_would_leave_its_folder(tmp_path: Path, name: str, kind: bytes) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(SourceError, match="cannot be unpacked"):
        unpack(path, inside)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["evil.tar", "inside"]


@pytest.mark.parametrize("content", [b"", b"not a tarball at all" * 100])
def test_a_tarball_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tar.xz"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        unpack(path, tmp_path / "inside")


def test_a_tarball_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README").write_text("hello")
    subprocess.run(["tar", "-cf", "x.tar", "x"], cwd=tmp_path, check=True)
    (tmp_path / "inside").mkdir()
    with pytest.raises(SourceError, match="is not CPython's source"):
        unpack(tmp_path / "x.tar", tmp_path / "inside")
