from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.commits.classify import Touches
from pybots.commits.history import MOST_PATHS, CommitFacts, UnreadableHistory, parse

SHA, PARENT, SECOND = "a" * 40, "b" * 40, "c" * 40


def record(
    *paths: bytes,
    sha: str = SHA,
    parents: str = PARENT,
    name: bytes = b"Ada",
    seconds: bytes = b"1700000000",
    subject: bytes = b"subject",
) -> bytes:
    """What git 2.39 writes for one commit."""
    header = b"\0".join([sha.encode(), parents.encode(), name, b"ada@example.org", seconds, subject])
    body = b"\n" + b"\0".join(paths) + b"\0" if paths else b""
    return b"\0" + header + b"\0" + body


def read(raw: bytes) -> list[CommitFacts]:
    return list(parse([raw]))


def test_fields() -> None:
    (facts,) = read(record(b"Lib/os.py", b"Doc/a.rst", parents=f"{PARENT} {SECOND}"))
    assert facts == CommitFacts(
        sha=SHA,
        parent_sha=PARENT,
        author_name="Ada",
        author_email="ada@example.org",
        committed_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        subject="subject",
        paths=("Lib/os.py", "Doc/a.rst"),
        files_changed=2,
    )
    assert facts.touches is Touches.LIBRARY


def test_empty_fields_and_commits_without_paths() -> None:
    first, second, third = read(
        record(name=b"", subject=b"", parents="") + record(b"x", sha=SECOND) + record(sha=PARENT)
    )
    assert (first.author_name, first.subject, first.parent_sha, first.paths) == ("", "", "", ())
    assert first.touches is Touches.DOCUMENTATION
    assert (second.sha, second.paths) == (SECOND, ("x",))
    assert third.paths == ()


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"a\nb", "a\nb"), (b"\nLib", "\nLib"), (b"\xff.py", "\ufffd.py"), (b" ", " "), (b"a\tb", "a\tb")],
)
def test_hostile_paths(raw: bytes, path: str) -> None:
    (facts,) = read(record(raw, raw))
    assert facts.paths == (path, path)


def test_texts_that_are_not_utf8_or_enormous_are_bounded() -> None:
    (facts,) = read(record(name=b"\xe9" * 10_000, subject="ü".encode() * 1_000_000))
    assert facts.author_name == "\ufffd" * 300
    assert facts.subject == "ü" * 500


def test_a_commit_with_too_many_paths_is_native_and_its_number_is_true() -> None:
    (facts,) = read(record(*[b"Doc/%d.rst" % number for number in range(MOST_PATHS + 7)]))
    assert len(facts.paths) == MOST_PATHS
    assert facts.files_changed == MOST_PATHS + 7
    assert facts.touches is Touches.NATIVE
    (facts,) = read(record(*[b"Doc/%d.rst" % number for number in range(MOST_PATHS)]))
    assert facts.touches is Touches.DOCUMENTATION


@pytest.mark.parametrize(
    ("seconds", "year"),
    [(b"-5", 1970), (b"", 1970), (b"soon", 1970), (b"99999999999999999", 9999), (b"9" * 5000, 1970)],
)
def test_impossible_times(seconds: bytes, year: int) -> None:
    (facts,) = read(record(seconds=seconds))
    assert facts.committed_at.year == year


@pytest.mark.parametrize(
    "raw", [b"\0fatal: bad object\n", b"\0" + SHA.encode() + b"\0" + PARENT.encode() + b"\0x"]
)
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableHistory, match="fetch again"):
        read(raw)


names = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)


@given(st.lists(st.lists(names, max_size=5), max_size=5), st.integers(1, 50))
def test_pieces_may_be_cut_anywhere(commits: list[list[bytes]], size: int) -> None:
    raw = b"".join(record(*paths, subject=b"s") for paths in commits)
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    cut = list(parse(pieces))
    assert cut == read(raw)
    assert [facts.paths for facts in cut] == [
        tuple(path.decode("utf-8", "replace") for path in paths) for paths in commits
    ]


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        commits = read(raw)
    except UnreadableHistory:
        return
    assert all(len(facts.sha) == 40 for facts in commits)
