"""Fetching sources: from folders of packages, an index over real HTTP, real git repositories, archives."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import (
    ArchiveSource,
    Ending,
    FolderSource,
    GitSource,
    Packages,
    PypiSource,
    Source,
)
from pybots_worker.runs.fetch import Fetched, fetch_source, folder_digest
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.scratch import remove_scratch
from pybots_worker.sandbox.machine import shown_folders
from pybots_worker.sandbox.unpack import RefusedError, unpack
from tiny_projects import Bench, sha256, write_project, write_sdist, write_wheel


class Files(dict[str, tuple[bytes, dict[str, str]]]):
    """What a real HTTP server answers: paths to bodies and headers."""

    address = ""


@pytest.fixture
def web() -> Iterator[Files]:
    files = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, headers = files.get(self.path, (b"", {"status": "404"}))
            self.send_response(int(headers.get("status", "200")))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    files.address = f"http://127.0.0.1:{server.server_port}"
    yield files
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fetch(bench: Bench, source: Source, *, packages: Packages | None = None) -> tuple[Fetched, Place]:
    bench.runs += 1
    folder = bench.folder / f"run{bench.runs}"
    folder.mkdir()
    changes = {"packages": packages} if packages else {}
    specification = bench.specification(source=source, **changes)
    shown = tuple(shown_folders([Path(sys.prefix), Path(sys.base_prefix)]))
    place = Place(specification, folder, bench.folder / "cache", BoundedLog(100_000, 100_000), shown)
    place.prepare()
    try:
        return fetch_source(place, Path(sys.executable)), place
    finally:
        remove_scratch(folder)


def problem(bench: Bench, source: Source, *, packages: Packages | None = None) -> RunEndedError:
    with pytest.raises(RunEndedError) as caught:
        fetch(bench, source, packages=packages)
    return caught.value


# --- PyPI ---------------------------------------------------------------------------------------------


def test_newest_release_that_this_python_may_have(bench: Bench) -> None:
    for version in ("1.0", "1.2", "2.0rc1"):
        write_sdist(bench.links, "tiny-thing", version, breaks=True)
    write_wheel(bench.links, "tiny-thing", "1.3")  # has no sdist
    fetched, place = fetch(bench, PypiSource(name="Tiny_Thing"))
    assert fetched == Fetched("1.2", sha256(bench.links / "tiny_thing-1.2.tar.gz"))
    assert 'version = "1.2"' in (place.source / "pyproject.toml").read_text()


def test_given_release(bench: Bench) -> None:
    for version in ("1.0", "1.2"):
        write_sdist(bench.links, "tiny-thing", version)
    assert fetch(bench, PypiSource(name="tiny.thing", version="1.0"))[0].revision == "1.0"
    missing = problem(bench, PypiSource(name="tiny-thing", version="9"))
    assert missing.ending is Ending.FETCH_FAILED
    assert "there is no version of tiny-thing==9" in missing.detail


def serve_index(bench: Bench, web: Files, *, wrong_hash: bool = False) -> Packages:
    links = []
    for version, attributes in (
        ("1.0", ""),
        ("1.1", 'data-requires-python="&gt;=3.99"'),
        ("1.2", 'data-yanked="broken"'),
    ):
        path = write_sdist(bench.links, "tiny-thing", version)
        digest = "0" * 64 if wrong_hash else sha256(path)
        links.append(f'<a href="/files/{path.name}#sha256={digest}" {attributes}>{path.name}</a>')
        web[f"/files/{path.name}"] = (path.read_bytes(), {"Content-Encoding": "gzip"})
    page = "<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>"
    web["/simple/tiny-thing/"] = (page.encode(), {"Content-Type": "text/html"})
    return Packages()


def test_index_over_http(bench: Bench, web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the yanked release, and not the one for another Python; and a server's `gzip` is not undone."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", web.address + "/simple")
    fetched, _place = fetch(bench, PypiSource(name="Tiny.Thing"), packages=serve_index(bench, web))
    assert fetched.revision == "1.0"


def test_pips_index_is_used_where_uv_has_none(
    bench: Bench, web: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", web.address + "/simple")
    assert fetch(bench, PypiSource(name="tiny-thing"), packages=serve_index(bench, web))[0].revision == "1.0"


def test_other_content_than_the_index_says(bench: Bench, web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", web.address + "/simple")
    packages = serve_index(bench, web, wrong_hash=True)
    found = problem(bench, PypiSource(name="tiny-thing"), packages=packages)
    assert found.ending is Ending.FETCH_FAILED
    assert "and should have 0000" in found.detail


def test_unreachable_index_is_the_workers_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    found = problem(bench, PypiSource(name="tiny-thing"), packages=Packages())
    assert found.ending is Ending.UNFIT
    assert "the network failed" in found.detail


# --- git ----------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=T", "-c", "user.email=t@t.example", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / "repository", "tiny")
    git(folder, "init")
    for number in range(3):
        (folder / "number").write_text(str(number))
        git(folder, "add", ".")
        git(folder, "commit", "-m", str(number))
        git(folder, "tag", "-a", f"v{number}", "-m", "release")
    git(folder, "branch", "old", "v0")
    return folder


@pytest.mark.parametrize(
    ("ref", "number"), [("main", 2), ("old", 0), ("v1", 1), ("full", 1), ("short", 1), ("refs/heads/old", 0)]
)
def test_git_at_a_ref(bench: Bench, repository: Path, ref: str, number: int) -> None:
    """A short hash is nothing that a server hands out: then everything is fetched."""
    commit = git(repository, "rev-parse", "v1^{commit}")
    named = {"full": commit, "short": commit[:10]}.get(ref, ref)
    fetched, place = fetch(bench, GitSource(url=str(repository), ref=named))
    assert (place.source / "number").read_text() == str(number)
    assert fetched == Fetched(git(repository, "rev-parse", f"v{number}^{{commit}}"), None)


@pytest.mark.parametrize(
    ("url", "ref", "detail"),
    [
        ("", "no-such-branch", "no-such-branch"),
        ("/no/such/repository", "main", "/no/such/repository"),
        ("--upload-pack=touch /tmp/x", "main", "cannot start with '-'"),
        ("", "--exec=x", "cannot start with '-'"),
    ],
)
def test_git_that_fails(bench: Bench, repository: Path, url: str, ref: str, detail: str) -> None:
    found = problem(bench, GitSource(url=url or str(repository), ref=ref))
    assert found.ending is Ending.FETCH_FAILED
    assert detail in found.detail


@pytest.mark.parametrize("status", ["503", "429"])
def test_git_server_that_is_ill_is_the_networks_fault(bench: Bench, web: Files, status: str) -> None:
    web["/x.git/info/refs?service=git-upload-pack"] = (b"", {"status": status})
    found = problem(bench, GitSource(url=web.address + "/x.git", ref="main"))
    assert (found.ending, "the network failed" in found.detail) == (Ending.UNFIT, True), found.detail


# --- archives and folders -----------------------------------------------------------------------------


def archive(files: dict[str, str], *, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
        if link:
            member = tarfile.TarInfo("source/link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            packed.addfile(member)
    return buffer.getvalue()


def zipped(files: dict[str, str], *, damaged: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    content = buffer.getvalue()
    # The method is said to be one that nobody has.
    return content.replace(b"\x08\x00", b"\x63\x00") if damaged else content


def damaged(content: bytes) -> bytes:
    """Something in the middle is not what gzip wrote."""
    half = len(content) // 2
    return content[:half] + b"\xff" * 8 + content[half + 8 :]


def served(web: Files, content: bytes, **headers: str) -> ArchiveSource:
    import hashlib

    web["/source.tar.gz"] = (content, headers)
    return ArchiveSource(url=f"{web.address}/source.tar.gz", sha256=hashlib.sha256(content).hexdigest())


def test_archive(bench: Bench, web: Files) -> None:
    """Its files have time 0, which no wheel can hold."""
    source = served(web, archive({"source/a": "A", "source/b/c": "C"}), **{"Content-Encoding": "gzip"})
    fetched, place = fetch(bench, source)
    assert fetched == Fetched(source.sha256, source.sha256)
    assert (place.source / "b" / "c").read_text() == "C"
    assert (place.source / "a").stat().st_mtime > 315_532_800


@pytest.mark.parametrize(
    ("content", "ending", "detail"),
    [
        (archive({"../escaped": "x"}), Ending.FETCH_FAILED, "archive is broken"),
        (archive({"source/a": "x"}, link="/etc/passwd"), Ending.FETCH_FAILED, "archive is broken"),
        (archive({"a": "x", "b": "y"}), Ending.FETCH_FAILED, "does not hold one folder"),
        (zipped({"source/a": "x"}, damaged=True), Ending.FETCH_FAILED, "archive is broken"),
        (archive({"source/a": "x" * 5_000})[:-20], Ending.FETCH_FAILED, "archive is broken"),
        (damaged(archive({"source/a": "x" * 5_000})), Ending.FETCH_FAILED, "archive is broken"),
        (archive({"source/" + "n" * 300: "x"}), Ending.FETCH_FAILED, "File name too long"),
        (archive({"source/a": "x", "source/a/b": "y"}), Ending.FETCH_FAILED, "archive is broken"),
        (archive({"source/large": "x" * 200_001}), Ending.FETCH_FAILED, "more than 200000 bytes"),
        (archive({f"source/{n}": "" for n in range(51)}), Ending.FETCH_FAILED, "or 50 files"),
        (zipped({"source/large": "x" * 200_001}), Ending.FETCH_FAILED, "more than 200000 bytes"),
        (b"not an archive", Ending.FETCH_FAILED, "archive is broken"),
        (gzip.compress(b"not a tar"), Ending.FETCH_FAILED, "archive is broken"),
    ],
    ids=lambda value: "archive" if isinstance(value, bytes) else None,
)
def test_broken_archive(
    bench: Bench,
    web: Files,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    ending: Ending,
    detail: str,
) -> None:
    monkeypatch.setattr("pybots_worker.runs.unpack.MAXIMUM_BYTES", 200_000)
    monkeypatch.setattr("pybots_worker.runs.unpack.MAXIMUM_FILES", 50)
    found = problem(bench, served(web, content))
    assert (found.ending, detail in found.detail) == (ending, True), found.detail
    assert not (bench.folder / "run1" / "escaped").exists()


def test_archive_with_another_digest_or_none(bench: Bench, web: Files) -> None:
    source = served(web, archive({"source/a": "A"}))
    found = problem(bench, ArchiveSource(url=source.url, sha256="0" * 64))
    assert (found.ending, "should have 0000" in found.detail) == (Ending.FETCH_FAILED, True)
    found = problem(bench, ArchiveSource(url=web.address + "/none.tar.gz", sha256="0" * 64))
    assert (found.ending, "answered 404" in found.detail) == (Ending.FETCH_FAILED, True)


@pytest.mark.parametrize(("status", "ending"), [("429", Ending.UNFIT), ("403", Ending.FETCH_FAILED)])
def test_server_without_time_is_nobodys_fault(
    bench: Bench, web: Files, monkeypatch: pytest.MonkeyPatch, status: str, ending: Ending
) -> None:
    monkeypatch.setattr("pybots_worker.runs.download.ATTEMPTS", 1)
    assert problem(bench, served(web, b"", status=status)).ending is ending


def test_address_that_is_none_is_told(bench: Bench) -> None:
    found = problem(bench, ArchiveSource(url="http://h:port/a.tar.gz", sha256="0" * 64))
    assert found.ending is Ending.FETCH_FAILED


def test_server_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.runs.download.ATTEMPTS", 1)
    found = problem(bench, ArchiveSource(url="http://127.0.0.1:9/a.tar.gz", sha256="0" * 64))
    assert (found.ending, "127.0.0.1 cannot be reached" in found.detail) == (Ending.UNFIT, True)


def test_folder_is_copied_and_named_by_its_content(bench: Bench) -> None:
    write_project(bench.source, "tiny")
    (bench.source / "__pycache__").mkdir()
    (bench.source / "__pycache__" / "x.pyc").write_text("")
    fetched, place = fetch(bench, FolderSource(path=str(bench.source)))
    assert not (place.source / "__pycache__").exists()
    assert fetch(bench, FolderSource(path=str(bench.source)))[0] == fetched
    (place.source / "backend.py").write_text("")
    assert "build_wheel" in (bench.source / "backend.py").read_text()
    (bench.source / "more").write_text("")
    assert fetch(bench, FolderSource(path=str(bench.source)))[0] != fetched


def test_folder_digest_knows_names_modes_and_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    digests = {folder_digest(tmp_path)}
    (tmp_path / "a").chmod(0o755)
    digests.add(folder_digest(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    digests.add(folder_digest(tmp_path))
    (tmp_path / "c").symlink_to("b")
    digests.add(folder_digest(tmp_path))
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("members", "refused"),
    [
        ([("top/a", "", ""), ("top/docs/a", "../a", "symbolic")], False),
        ([("top/a", "", ""), ("top/b", "top/a", "hard")], False),
        ([("top/l", "..", "symbolic")], False),
        ([("top/l", "../..", "symbolic")], True),
        ([("top/l", "/etc", "symbolic")], True),
        ([("top/l", "a/../..", "symbolic")], True),
        ([("top/d/e/f", "", ""), ("top/l", "d/e", "symbolic"), ("top/l/up", "../..", "symbolic")], True),
        ([("top/b", "../x", "hard")], True),
        ([("top/../../x", "", "")], True),
        ([("top/" + "d" * 1000, "", "")], True),
    ],
)
def test_links_that_could_lead_outside_are_refused(
    tmp_path: Path, members: list[tuple[str, str, str]], refused: bool
) -> None:
    """tarfile's own filter resolves paths, and can be deceived by those that are too long (CVE-2025-4517)."""
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name, link, kind in members:
            member = tarfile.TarInfo(name)
            member.linkname = link
            member.type = {"symbolic": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}.get(kind, tarfile.REGTYPE)
            packed.addfile(member)
    into = tmp_path / "into"
    into.mkdir()
    if refused:
        with pytest.raises(RefusedError, match="leads elsewhere"):
            unpack(archive, into, 10**6, 100)
    else:
        unpack(archive, into, 10**6, 100)
        assert (into / "source").is_dir()
