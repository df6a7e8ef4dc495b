"""The same commit of a real CPython is the same artifact, however and wherever it was made.

The environment may say another variant (PYBOTS_VARIANT=free-threaded PYBOTS_CONFIGURE=--disable-gil), and a repository
whose branch main is taken (PYBOTS_CPYTHON=PATH).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybots.commands.demonstration.cpython_source import CPythonSource
from pybots_worker.contract import InterpreterResult, InterpreterSpecification
from pybots_worker.interpreters.build import build_interpreter

sys.path.insert(0, str(Path(__file__).parents[1] / "minifarm"))

from workshop import EVERYTHING, IN_PLACE, REPLACED, phases

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3000)]

LIBRARY = {
    "Lib/heapq.py": "\nCHANGED = ('heapq', 'os', 1.5)\n",
    "Lib/wsgiref/new.py": "def new(path='os', *, self=None): return (path, frozenset({1, 'a'}))\n",
    "Lib/test/test_heapq.py": "\n",
    "Misc/NEWS.d/next/Library/new.rst": "Say something.\n",
}
REMOVED = ("Lib/this.py", "Lib/antigravity.py")
FROZEN_AND_C = {
    "Lib/os.py": "\nCHANGED = ('os', 'path')\n",
    "Lib/unittest/case.py": "\nCHANGED = True\n",
    "Modules/_heapqmodule.c": "\nint pybots_changed(void) { return __LINE__; }\n",
}
ENCODINGS = {"Lib/encodings/utf_8.py": "\nCHANGED = ('encodings', 'utf_8')\n"}


def test_in_place_replaced_and_clean_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean one is made elsewhere, later, without ccache, by somebody with other settings."""
    trunk = clone(tmp_path)
    monkeypatch.delenv("CCACHE_DISABLE", raising=False)
    first = build(tmp_path / "one", trunk)
    assert phases(first) == EVERYTHING
    assert phases(build(tmp_path / "one", trunk, commit(trunk, LIBRARY, REMOVED))) == REPLACED
    assert phases(build(tmp_path / "one", trunk, commit(trunk, FROZEN_AND_C))) == IN_PLACE
    last = build(tmp_path / "one", trunk, commit(trunk, ENCODINGS))
    assert phases(last) == REPLACED

    monkeypatch.setenv("CCACHE_DISABLE", "1")
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clean = build(tmp_path / "another-place-with-a-longer-name", trunk)
    assert phases(clean) == EVERYTHING
    assert differences(tmp_path) == []
    assert clean.artifact == last.artifact


def build(folder: Path, trunk: Path, sha: str = "") -> InterpreterResult:
    """Make the interpreter of a commit, without: the newest, in a worker's folders of their own."""
    specification = InterpreterSpecification(
        key="k",
        git=str(trunk),
        commit=sha or git(trunk, "rev-parse", "HEAD"),
        branch="main",
        variant=os.environ.get("PYBOTS_VARIANT", "default") or "default",
        configure=os.environ.get("PYBOTS_CONFIGURE", "").split(),
    )
    folders = {name: folder / name for name in ("trees", "output", "cache")}
    result = build_interpreter(specification, **folders, echo=False)
    assert result.status == "proven", (result.detail, result.log_tail)
    print(f"{phases(result)}: {[phase.seconds for phase in result.phases]}")
    return result


def differences(folder: Path) -> list[str]:
    """Return what differs between the two installed trees, for who has to find out why."""
    trees = [next(folder.glob(f"{name}/trees/*/*/staging")) for name in ("one", "another*")]
    done = subprocess.run(
        ["diff", "-rq", "--no-dereference", *map(str, trees)], capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def clone(folder: Path) -> Path:
    """Return a repository to commit in; PYBOTS_CPYTHON names one that spares the download."""
    source = os.environ.get("PYBOTS_CPYTHON") or CPythonSource(folder / "source", print).get(None, None).git
    git(folder, "clone", "-q", "--depth=1", "--branch=main", f"file://{Path(source).absolute()}", "trunk")
    return folder / "trunk"


def commit(trunk: Path, added: dict[str, str], removed: tuple[str, ...] = ()) -> str:
    """Append to these files, remove others, and return the commit."""
    for name, text in added.items():
        path = trunk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(text)
    git(trunk, "add", "--force", *added)
    if removed:
        git(trunk, "rm", "-q", *removed)
    git(trunk, "commit", "-q", "-m", f"Change {len(added)} files")
    return git(trunk, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*; return what it prints."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, timeout=300, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()
