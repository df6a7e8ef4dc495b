"""What a run finds besides its report: who brought what can be imported, and the native stack of a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.contract import Ending, RunResult
from pybots_worker.runs.native_stack import MOST_FRAMES, native_stack
from pybots_worker.runs.top_levels import MOST_NAMES, top_levels
from tiny_projects import PASSES, Bench, write_project, write_wheel


def install(venv: Path, name: str, record: str, **files: str) -> Path:
    """Lay a distribution's notes where an installer puts them."""
    packages = venv / "lib" / "python3.15" / "site-packages"
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text(record)
    for file, text in files.items():
        (info / file.replace("_txt", ".txt")).write_text(text)
    return packages


def test_who_brought_what(tmp_path: Path) -> None:
    install(
        tmp_path,
        "pycrypto",
        "Crypto/__init__.py,sha256=x,1\nCrypto/Cipher/_AES.cpython-315-x86_64-linux-gnu.so,,\n"
        '"Crypto/a,b.py",,\npycrypto-1.0.dist-info/METADATA,,\n../../../bin/crypt.py,,\n/etc/x.py,,\nCrypto/data.txt,,\n',
    )
    install(tmp_path, "six", "six.py,,\n__pycache__/six.cpython-315.pyc,,\n")
    install(tmp_path, "cffi", "_cffi_backend.cpython-315-x86_64-linux-gnu.so,,\ncffi/__init__.py,,\n")
    install(tmp_path, "zope.event", "zope/event/__init__.py,,\n")
    install(
        tmp_path, "zope.interface", "zope/interface/__init__.py,,\nzope/interface/_coptimizations.abi3.so,,\n"
    )
    install(tmp_path, "old", "", top_level_txt="oldone\n_oldone\nno-name\n")
    assert top_levels(tmp_path) == {
        "Crypto": "pycrypto",
        "six": "six",
        "_cffi_backend": "cffi",
        "cffi": "cffi",
        "zope": "zope-interface",
        "zope.event": "zope-event",
        "zope.interface": "zope-interface",
        "oldone": "old",
        "_oldone": "old",
    }


def test_records_that_mean_harm(tmp_path: Path) -> None:
    packages = install(tmp_path, "wide", "".join(f"m{number}.py,,\n" for number in range(30_000)))
    install(
        tmp_path,
        "long",
        f"{'x' * 5000}.py,,\n"
        + "a/" * 10_000
        + "b.py\n\0.py\n\udcff.py\n".encode("utf-8", "replace").decode(),
    )
    (packages / "linked-1.0.dist-info").symlink_to("/etc")
    found = top_levels(tmp_path)
    assert len(found) == MOST_NAMES
    assert RunResult(key="k", ending=Ending.EXITED, phases=[], seconds=0, top_levels=found)
    assert top_levels(tmp_path / "absent") == {}


def test_run_says_who_brought_what(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    files = {"Thing/__init__.py": "", "Thing/sub.py": ""}
    write_wheel(bench.links, "the-dep", "1.0", files=files)
    write_project(bench.source, "tiny", requires=("the-dep",), tests=PASSES)
    result, _ = bench.run()
    assert result.ending is Ending.EXITED
    assert {name: result.top_levels.get(name) for name in ("Thing", "tiny")} == {
        "Thing": "the-dep",
        "tiny": "tiny",
    }
    assert result.native_stack == ""


def test_python_says_where_it_crashed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    code = "import os\ndef fall(): os.abort()\nfall()\n"
    write_project(bench.source, "tiny", tests=PASSES)
    result, folder = bench.run(command=["{python}", "-c", code])
    assert (result.ending, result.signal) == (Ending.CRASHED, "SIGABRT")
    log = zstandard.ZstdDecompressor().decompress((folder / "log.zst").read_bytes()).decode()
    assert "Fatal Python error: Aborted" in log
    assert 'File "<string>", line 2 in fall' in log
    assert [load >= 0 for load in result.load] == [True, True]
    silent, folder = bench.run(command=["{python}", "-c", code], environment={"PYTHONFAULTHANDLER": ""})
    log = zstandard.ZstdDecompressor().decompress((folder / "log.zst").read_bytes()).decode()
    assert (silent.signal, "Fatal Python error" in log) == ("SIGABRT", False)


CRASH = """tests/test_it.py::test_a
Fatal Python error: Segmentation fault

Current thread 0x00007f1c4bb40740 [python] (most recent call first):
  File "/w/source/tests/test_it.py", line 2 in test_a

Current thread's C stack trace (most recent call first):
  Binary file "/w/bin/python3.15", at _Py_DumpStack+0x48 [0x55d0c3a5b1f8]
  Binary file "/w/bin/python3.15", at +0x3df2a0 [0x55d0c3a6f2a0]
  Binary file "/lib/x86_64-linux-gnu/libc.so.6", at +0x3c050 [0x7f1c4b83c050]
  Binary file "/w/venv/lib/python3.15/site-packages/_fast.cpython-315-x86_64-linux-gnu.so", at fast_copy+0x12 [0x7f1c4a]
  Binary file "/w/bin/python3.15", at _PyEval_EvalFrameDefault+0x2f1 [0x55d0c3912345]
  <truncated rest of calls>

Extension modules: _fast, _other (total: 2)
"""
FRAMES = (
    "_fast.cpython-315-x86_64-linux-gnu.so fast_copy+0x12\n"
    "python3.15 _PyEval_EvalFrameDefault+0x2f1\n"
    "Extension modules: _fast, _other (total: 2)"
)


@pytest.mark.parametrize(
    ("output", "stack"),
    [
        ("", ""),
        ("Fatal Python error: Aborted\n", ""),
        (CRASH, FRAMES),
        ("another one\n" + CRASH.replace("fast_copy", "slow") + CRASH, FRAMES),
        (CRASH.replace("_Py_DumpStack", "other").split("\n\nExt")[0], None),
        (
            "Current thread's C stack trace (most recent call first):\n  <cannot get C stack on this system>\n",
            "",
        ),
    ],
)
def test_native_stack_is_the_last_crashs_own(output: str, stack: str | None) -> None:
    found = native_stack(output)
    assert found == stack if stack is not None else found.count("\n") == 4


@given(
    st.lists(
        st.sampled_from([*CRASH.splitlines(), "", "x", '  Binary file "' + "y" * 9000 + '", at z+0x1 [0x2]']),
        max_size=300,
    )
)
def test_native_stack_is_bounded(lines: list[str]) -> None:
    found = native_stack("\n".join(lines))
    assert len(found) <= 20_000
    assert found.count("\n") <= MOST_FRAMES
