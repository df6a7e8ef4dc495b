from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import pybots_worker
from pybots_worker.interpreters.prove import prove_interpreter
from pybots_worker.interpreters.toolchain import build_environment
from pybots_worker.processes import BoundedLog

SCRIPT = Path(pybots_worker.__file__).with_name("under_test") / "pybots_proof.py"
GOOD: dict[str, Any] = {
    "version": "3.15.0a1 (main)",
    "cache_tag": "cpython-315",
    "prefix": "/somewhere",
    "modules": ["ssl"],
    "missing": [],
    "checks": {"place": "ok"},
}
MISSING = {"module": "m", "package": "libm-dev", "error": "ImportError: m", "required": False, "built": False}


def fake_python(folder: Path, script: str) -> Path:
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def prints(facts: object) -> str:
    return f"cat <<'END'\n{json.dumps(facts)}\nEND"


def prove(python: Path) -> tuple[Any, str]:
    environment = build_environment({"PATH": "/usr/bin:/bin"})
    work = python.with_name("work")
    try:
        return prove_interpreter(python, environment, BoundedLog(10_000, 1000), 30, work)
    finally:
        assert not work.exists()


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"missing": [MISSING]}, ""),
        (
            {"missing": [MISSING | {"required": True}]},
            "m does not import: ImportError: m (Debian's package libm-dev provides what it needs)",
        ),
        (
            {"missing": [MISSING | {"built": True, "package": ""}]},
            "m does not import: ImportError: m",
        ),
        ({"checks": {"pip": "ok", "tls": "OSError: no"}}, "tls: OSError: no"),
    ],
)
def test_what_is_wrong(tmp_path: Path, changes: dict[str, Any], wrong: str) -> None:
    proof, said = prove(fake_python(tmp_path, prints(GOOD | changes)))
    assert said == wrong
    assert proof.version == GOOD["version"]
    assert [module.module for module in proof.missing] == ["m"] * len(changes.get("missing", []))


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("echo hello", "the proof printed what cannot be read"),
        ("true", "the proof printed what cannot be read"),
        (prints(GOOD | {"surprise": 1}), "the proof printed what cannot be read"),
        ("exit 3", "the proof did not end well: exited, exit status 3"),
        ("kill -SEGV $$", "the proof did not end well: SIGSEGV"),
    ],
)
def test_a_proof_that_is_none(tmp_path: Path, script: str, wrong: str) -> None:
    proof, said = prove(fake_python(tmp_path, script))
    assert proof is None
    assert said.startswith(wrong)


def test_an_interpreter_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "python3").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "python3").chmod(0o755)
    assert prove(tmp_path / "python3")[1].startswith("python3 cannot be started: ")


EVERY_WAY = {"place", "tls", "sqlite", "threads", "subprocess"}


@pytest.mark.parametrize(
    ("way", "checks"),
    [([], EVERY_WAY | {"pip", "venv", "extension"}), (["--library"], EVERY_WAY | {"extensions", "wheel"})],
    ids=["everything", "library"],
)
def test_everything_is_checked_on_the_python_that_runs_this(
    tmp_path: Path, way: list[str], checks: set[str]
) -> None:
    python = Path(sys._base_executable)  # type: ignore[attr-defined]
    done = subprocess.run(
        [python, "-I", "-B", SCRIPT, *way, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
    )
    facts = json.loads(done.stdout)
    assert set(facts["checks"]) == checks
    assert {name: said for name, said in facts["checks"].items() if said != "ok"} == {}
    assert {"ssl", "sqlite3", "ctypes", "zlib", "bz2", "lzma"} <= set(facts["modules"])


def test_an_extension_that_does_not_import_is_seen(tmp_path: Path) -> None:
    (tmp_path / "lib-dynload").mkdir()
    (tmp_path / "lib-dynload" / "_broken.so").write_text("not a library")
    proof = runpy.run_path(str(SCRIPT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path / "lib-dynload")])
        assert proof["attempt"](proof["check_extensions"], str(tmp_path)).startswith("NotProven")


def test_a_warning_is_no_part_of_an_answer(tmp_path: Path) -> None:
    """A free-threaded Python says on standard error that a module switched the GIL on."""
    proof = runpy.run_path(str(SCRIPT))
    code = "import sys; print(42); print('RuntimeWarning', file=sys.stderr); sys.exit(len(sys.argv) - 1)"
    assert proof["run"]([sys.executable, "-c", code], str(tmp_path)) == "42\n"
    with pytest.raises(proof["NotProven"], match="exited with status 1: RuntimeWarning"):
        proof["run"]([sys.executable, "-c", code, "fail"], str(tmp_path))


def test_a_module_from_elsewhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "uuid.py").write_text("")
    code = textwrap.dedent(f"""
        import runpy, sys
        sys.path.insert(0, {str(tmp_path)!r})
        sys.argv = ["pybots_proof.py", "--quick"]
        runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
    """)
    python = Path(sys._base_executable)  # type: ignore[attr-defined]
    done = subprocess.run(
        [python, "-I", "-B", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    facts = json.loads(done.stdout)
    assert list(facts["checks"]) == ["place"]
    assert f"uuid was imported from {tmp_path}/uuid.py" in facts["checks"]["place"]
