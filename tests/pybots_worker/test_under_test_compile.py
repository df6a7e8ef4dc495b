"""What a file is byte-compiled to does not depend on what else is compiled, nor on the order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pybots_worker.interpreters.byte_compile import _OPTIONS, SCRIPT, is_compiled

SOURCES = {
    "one.py": "def f(path, *, self=None): return (path, 'os', 1.5, frozenset({1, 'path'}), b'x')\n",
    "two.py": "import os, one\nNAMES = ('os', 'path', 'self', 1.5)\n",
    "deep/three.py": "class C:\n    '''A doc.'''\n    path = 'os'\n    def f(self): return self.path, 1.5\n",
    "deep/latin.py": "# -*- coding: latin-1 -*-\nVALUE = '\xe9'\n",
}
PYTHON = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    return tmp_path / "library"


def compile_files(library: Path, names: list[str], processes: int = 2) -> subprocess.CompletedProcess[str]:
    listed = library.parent / "list"
    listed.write_text("".join(f"{name}\n" for name in names))
    command = [PYTHON, *_OPTIONS, str(SCRIPT), str(library), "/opt/there", str(processes), str(listed)]
    return subprocess.run(
        command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False, timeout=60
    )


def compiled(library: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in library.rglob("*.pyc")}


def test_neither_order_nor_neighbours_matter(library: Path) -> None:
    assert compile_files(library, list(SOURCES)).stderr == ""
    together = compiled(library)
    assert len(together) == len(SOURCES)
    assert compile_files(library, list(SOURCES)[::-1], processes=1).returncode == 0
    assert compiled(library) == together
    for name in SOURCES:
        assert compile_files(library, [name]).returncode == 0
    assert compiled(library) == together


def test_the_interpreter_uses_what_was_compiled(library: Path) -> None:
    compile_files(library, ["one.py"])
    (library / "one.py").write_text("raise ImportError('the source was read')\n")
    code = "import json, one; print(json.dumps([one.__cached__, one.f('a')[:2]]))"
    done = subprocess.run(
        [PYTHON, "-B", "-c", code],
        env={"PYTHONPATH": str(library)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    cached, answer = json.loads(done.stdout)
    assert answer == ["a", "os"]
    assert Path(cached) in library.rglob("*.pyc")


def test_what_cannot_be_compiled_is_named(library: Path) -> None:
    (library / "two.py").write_text("VALUE = (\n")
    done = compile_files(library, list(SOURCES))
    assert done.returncode == 1
    assert done.stderr.startswith("two.py: SyntaxError: '(' was never closed")
    assert {name.split(".")[0] for name in compiled(library)} == {"one", "three", "latin"}


def test_where_what_compiles_changed_everything_is_compiled(tmp_path: Path) -> None:
    """The library is the interpreter's own here: one of its encodings was needed to start."""
    code = (
        f"import sys, runpy; script = runpy.run_path({str(SCRIPT)!r});"
        "import os; print(sorted(script['used'](os.path.dirname(os.__file__))))"
    )
    done = subprocess.run(
        [PYTHON, *_OPTIONS, "-c", code], capture_output=True, text=True, check=True, timeout=60, env={}
    )
    assert "encodings/utf_8.py" in done.stdout


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("os.py", True),
        ("site-packages/pip/__main__.py", True),
        ("test/support/os_helper.py", False),
        ("idlelib/run.py", False),
        ("unittest/case.py", True),
        ("asyncio/py.typed", False),
        ("test/badsyntax_3131.py", False),
    ],
)
def test_which_files_are_compiled(path: str, expected: bool) -> None:
    assert is_compiled(path) is expected
