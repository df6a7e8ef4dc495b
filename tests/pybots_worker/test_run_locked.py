"""The text of locks: written, read again, and whatever else comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.runs.locked import (
    PROJECT,
    Entry,
    File,
    LockError,
    read_entries,
    read_sections,
    write_entries,
    write_sections,
)
from pybots_worker.runs.pylock import read_pylock

A, B = "a" * 64, "b" * 64
ATTRS = Entry("attrs", "26.1.0", (File("attrs-26.1.0-py3-none-any.whl", A), File("attrs-26.1.0.tar.gz", B)))
GIT = Entry("dep", f"git+https://example.org/dep.git@{'c' * 40}#subdirectory=python")
ARCHIVE = Entry("other", "https://example.org/other-1.0.zip", (File("other-1.0.zip", B),))


def test_text_is_a_requirements_file_that_names_the_files() -> None:
    assert write_entries([GIT, ATTRS]) == (
        "# attrs-26.1.0-py3-none-any.whl attrs-26.1.0.tar.gz\n"
        f"attrs==26.1.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
        f"dep @ {GIT.exact}\n"
    )


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(
    lambda name: "--" not in name
)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    name = draw(names)
    version = draw(st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3}){0,2}(a1|rc2|\.post1)?(\+local)?", fullmatch=True))
    files = [File(f"{name.replace('-', '_')}-{version}.tar.gz", draw(hashes))]
    if draw(st.booleans()):
        files.append(File(f"{name.replace('-', '_')}-{version}-py3-none-any.whl", draw(hashes)))
    return Entry(name, version, tuple(files))


many = st.lists(
    st.one_of(entries(), st.sampled_from([ATTRS, GIT, ARCHIVE])),
    max_size=5,
    unique_by=lambda each: each.label,
)


@given(many)
def test_what_is_written_is_read(found: list[Entry]) -> None:
    assert read_entries(write_entries(found)) == sorted(found, key=lambda entry: entry.label)


@given(st.dictionaries(st.sampled_from([PROJECT, "attrs==26.1.0", GIT.label]), many))
def test_sections_are_read(sections: dict[str, list[Entry]]) -> None:
    expected = {name: sorted(found, key=lambda entry: entry.label) for name, found in sections.items()}
    assert read_sections(write_sections(sections)) == expected


lines = st.sampled_from(
    [*write_entries([ATTRS, GIT, ARCHIVE]).split("\n"), f"# to build {PROJECT}", "-r /etc/passwd", "\0", "é"]
)


@given(st.one_of(st.text(max_size=300), st.lists(lines, max_size=12).map("\n".join)))
def test_anything_else_is_told_or_read(text: str) -> None:
    for read in (read_entries, read_sections):
        try:
            read(text)
        except LockError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-r /etc/passwd\n", "line 1: '-r /etc/passwd' is no requirement"),
        ("--index-url https://example.org\nattrs==1\n", "line 1"),
        ("attrs==26.1.0\n", "attrs==26.1.0 has no hash"),
        ("attrs>=26\n", "no requirement with a version"),
        ("attrs @ ftp://example.org/x.tar.gz\n", "no requirement with a version"),
        (f"attrs @ git+https://example.org/x.git@{'d' * 39}\n", "no requirement with a version"),
        (f"# ../../etc/passwd\nattrs==1 \\\n    --hash=sha256:{A}\n", "no file's name"),
        (f"# a.tar.gz b.tar.gz\nattrs==1 \\\n    --hash=sha256:{A}\n", "1 hashes, and 2 files"),
        (f"# other-1-py3-none-any.whl\nattrs==1 \\\n    --hash=sha256:{A}\n", "is not of attrs"),
        (f"# attrs-1.whl\nattrs==1 \\\n    --hash=sha256:{A}\n", "attrs-1"),
        (f"    --hash=sha256:{A}\n", "line 1"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(LockError) as caught:
        read_entries(text)
    assert told in str(caught.value)


def test_entries_before_the_first_section_are_none() -> None:
    with pytest.raises(LockError):
        read_sections(write_entries([ATTRS]))


PYLOCK = b"""
lock-version = "1.0"
[[packages]]
name = "Attrs"
version = "26.1.0"
sdist = { url = "https://example.org/p/attrs-26.1.0.tar.gz", hashes = { sha256 = "%s" } }
wheels = [{ path = "../links/attrs-26.1.0-py3-none-any.whl", hashes = { sha256 = "%s" } }]
[[packages]]
name = "dep"
vcs = { type = "git", url = "https://example.org/dep.git", commit-id = "%s", subdirectory = "python" }
[[packages]]
name = "own"
directory = { path = "/run/source" }
[[packages]]
name = "wheel-of-own"
archive = { url = "file:///run/work/out/x-1.0-py3-none-any.whl", hashes = {} }
""" % (b"b" * 64, b"a" * 64, b"c" * 40)


def test_uvs_answer() -> None:
    found = read_pylock(PYLOCK, Path("/run"))
    assert found == [ATTRS, GIT]
    assert [file.address for file in found[0].files] == [
        "file:///run/links/attrs-26.1.0-py3-none-any.whl",
        "https://example.org/p/attrs-26.1.0.tar.gz",
    ]


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"packages = 3", b"[[packages]]\n", b"[[packages]]\nname='a'\nversion='1'\nwheels=[{url='x'}]"],
)
def test_answers_that_are_none(content: bytes) -> None:
    with pytest.raises(LockError):
        read_pylock(content, Path("/run"))
