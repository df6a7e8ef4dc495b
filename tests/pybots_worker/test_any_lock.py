"""Whatever comes as a lock, or as uv's answer: it is told what is wrong with it, or it is what it says it is."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from pybots_worker.contract import Ending, Lock, lock_digest
from pybots_worker.runs.compatible import Target
from pybots_worker.runs.explain import Explanation, Trouble
from pybots_worker.runs.files import Files
from pybots_worker.runs.lock import make_lock, read_lock
from pybots_worker.runs.locked import FILE_NAME, Entry, File, LockError, read_entries, write_entries
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.pylock import read_pylock
from pybots_worker.runs.steps import StepFailedError

A, B = "a" * 64, "b" * 64
HASH_A, HASH_B = f"    --hash=sha256:{A}", f"    --hash=sha256:{B}"
LINES = [
    f"# attrs-26.1.0-py3-none-any.whl attrs-26.1.0.tar.gz\nattrs==26.1.0 \\\n{HASH_A} \\\n{HASH_B}",
    f"# {' '.join(['attrs-26.1.0-py3-none-any.whl'] * 2)}\nattrs==26.1.0 \\\n{HASH_A} \\\n{HASH_B}",
    f"# dep-1.tar.gz\ndep==1 \\\n    --hash=sha256:{A}",
    f"# dep-1-cp399-cp399-win32.whl\ndep==1 \\\n    --hash=sha256:{B}",
    f"dep @ git+https://example.org/dep.git@{'c' * 40}#subdirectory=../../x",
    f"# other.zip\nother @ https://example.org/other.zip \\\n    --hash=sha256:{B}",
    "# to build the project",
    "# to build attrs==26.1.0",
    f"    --hash=sha256:{A}",
    "# ../../x",
    "-r /etc/passwd",
]
pieces = st.one_of(
    st.sampled_from(LINES), st.sampled_from(LINES).flatmap(lambda line: st.sampled_from(line.split("\n")))
)
characters = st.text(string.printable + "é\0\u2028\x85\ud800", max_size=20)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Locks, with a few characters somewhere that do not belong there."""
    text = "\n".join(draw(st.lists(pieces, max_size=8)))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(characters) + text[place + draw(st.integers(0, 30)) :]
    return text


def check(found: Sequence[Entry]) -> None:
    """What every entry that comes through has to be: nothing in it can become another line, or another path."""
    try:
        again = read_entries(write_entries(found))
    except LockError as error:
        raise AssertionError(found) from error
    assert again == sorted(found, key=lambda entry: entry.label)
    for entry in found:
        assert entry.name == canonicalize_name(entry.name)
        assert entry.label.split() == entry.label.split(" ")
        assert all(FILE_NAME.fullmatch(file.name) and len(file.sha256) == 64 for file in entry.files)


@settings(max_examples=400)
@given(texts())
def test_any_lock(text: str) -> None:
    try:
        check(read_entries(text))
    except LockError as error:
        assert str(error).startswith("line ")  # noqa: PT017


@settings(max_examples=200)
@given(texts(), texts())
def test_any_lock_of_a_run(requirements: str, build: str) -> None:
    """As it comes from the master: a run ends with a status, or has entries."""
    try:
        lock = make_lock(requirements, build)
    except ValueError:  # the contract, and the digest, are for text that can be sent
        return
    try:
        entries, sections = read_lock(lock)
    except RunEndedError as error:
        assert error.ending is Ending.ENVIRONMENT_FAILED  # noqa: PT017
        return
    check(entries)
    for section in sections.values():
        check(section)


def test_lock_with_another_digest_is_none() -> None:
    with pytest.raises(RunEndedError, match="not the one"):
        read_lock(Lock(requirements="", digest=lock_digest("x", "")))


# --- uv's answer --------------------------------------------------------------------------------------


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


odd = st.one_of(
    st.none().map(lambda _: 0),
    st.booleans(),
    st.integers(-5, 5),
    st.lists(st.integers(0, 1), max_size=2),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.sampled_from(
        ["../x", "/etc/passwd", "a\nb", "x" * 300, "http://[", "file:///run/work/x-1.whl", "\0", "a b"]
    ),
)
addresses = st.sampled_from(
    [
        "https://e.example/attrs-26.1.0-py3-none-any.whl",
        "https://e.example/attrs-26.1.0.tar.gz",
        "file:///x/a%2Fb.zip",
    ]
)
digests = st.fixed_dictionaries({"sha256": st.one_of(st.just(A), odd)})


def table(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A table with some of these keys, mostly of the right kind; or something else."""
    values = {key: st.one_of(value, value, value, odd) for key, value in known.items()}
    return st.one_of(*[st.fixed_dictionaries({}, optional=values)] * 4, odd)


file = table({"url": addresses, "path": addresses, "name": addresses, "hashes": digests})
package = table(
    {
        "name": st.sampled_from(["attrs", "Attrs", "dep"]),
        "version": st.just("26.1.0"),
        "wheels": st.lists(file, max_size=3),
        "sdist": file,
        "archive": file,
        "vcs": table({"url": addresses, "commit-id": st.just("c" * 40), "subdirectory": odd}),
        "directory": odd,
    }
)


@settings(max_examples=500)
@given(st.lists(package, max_size=3))
def test_any_answer_of_uv(packages: list[Any]) -> None:
    try:
        check(read_pylock(f"packages = {toml(packages)}".encode(), Path("/run")))
    except LockError as error:
        assert str(error)  # noqa: PT017


@given(st.binary(max_size=200))
def test_any_bytes_for_uvs_answer(content: bytes) -> None:
    try:
        check(read_pylock(content, Path("/run")))
    except LockError as error:
        assert str(error)  # noqa: PT017


def test_answer_that_is_too_deep() -> None:
    with pytest.raises(LockError):
        read_pylock(b"packages = " + b"[" * 50_000, Path("/run"))


# --- what is chosen and fetched -----------------------------------------------------------------------


class Located:
    """A uv that finds what it is told to."""

    def __init__(self, found: list[Entry] | Exception) -> None:
        self.found = found

    def locate(self, _entries: Iterable[Entry]) -> list[Entry]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Store:
    """A store that holds nothing, and notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[File] = []

    def has(self, _file: File) -> bool:
        return False

    def fetch(self, files: Iterator[File]) -> None:
        self.asked += files


TARGET = Target(("cp313-cp313-manylinux_2_17_x86_64", "py3-none-any"), {})
ELSEWHERE = "https://e.example/attrs-26.1.0.tar.gz"


@settings(max_examples=400)
@given(
    texts(),
    st.one_of(
        st.lists(
            st.sampled_from(
                [
                    Entry("attrs", "26.1.0", (File("attrs-26.1.0.tar.gz", B, ELSEWHERE),)),
                    Entry("attrs", "26.1.0", (File("attrs-26.1.0.tar.gz", "d" * 64, ELSEWHERE),)),
                    Entry("attrs", "99", ()),
                    Entry(
                        "dep",
                        "1",
                        (File("dep-1.tar.gz", A, ELSEWHERE), File("dep-1-py3-none-any.whl", B, "x")),
                    ),
                    Entry("dep", "1", ()),
                ]
            ),
            max_size=4,
        ),
        st.sampled_from(
            [LockError("no answer"), StepFailedError("locating", "", Explanation(Trouble.OTHER, "no answer"))]
        ),
    ),
)
def test_only_what_the_lock_names_is_fetched(text: str, located: Any) -> None:
    """Whatever the index answers meanwhile: other files, other versions, nothing."""
    try:
        entries = read_entries(text)
    except LockError:
        return
    locked = {(entry.label, file.sha256) for entry in entries for file in entry.files}
    store = Store()
    files = Files(Located(located), TARGET, store)  # type: ignore[arg-type]
    try:
        chosen = files.fetched(entries)
    except RunEndedError as error:
        assert error.ending is Ending.ENVIRONMENT_FAILED  # noqa: PT017
        return
    assert [entry.label for entry, _ in chosen] == [entry.label for entry in entries]
    for entry, found in chosen:
        assert found is None if entry.commit else found and (entry.label, found.sha256) in locked
    assert {file.sha256 for file in store.asked} <= {sha256 for _, sha256 in locked}
