from __future__ import annotations

from pathlib import Path

import pytest

from pybots_worker.interpreters.jit import llvm_version, wants_llvm, what_is_lacking
from pybots_worker.interpreters.toolchain import ask_version

JIT = ["--enable-experimental-jit"]
CLANG = "Debian clang version {} (++20240101)\nTarget: x86_64\n"
READOBJ = "Debian LLVM version {}\n  Optimized build.\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], False),
        (["--with-pydebug"], False),
        (JIT, True),
        (["--enable-experimental-jit=yes-off"], True),
        (["--enable-experimental-jit=interpreter"], False),
        ([*JIT, "--enable-experimental-jit=no"], False),
    ],
)
def test_which_options_build_a_jit(options: list[str], expected: bool) -> None:
    assert wants_llvm(options) is expected


@pytest.mark.parametrize(
    ("text", "version"),
    [("import os\n\n_LLVM_VERSION = 18\n", "18"), ('_LLVM_VERSION = "21"\n', "21"), ("LLVM = 1", "")],
)
def test_which_llvm_a_tree_asks_for(text: str, version: str) -> None:
    assert llvm_version(text) == version


@pytest.mark.parametrize(
    ("programs", "lacking"),
    [
        ({}, "needs clang 18 and llvm-readobj 18"),
        ({"clang": CLANG.format("19.1.7"), "llvm-readobj-18": READOBJ.format("18.1.8")}, "needs clang 18"),
        ({"clang": f"Apple {CLANG[7:].format('18.0.0')}"}, "needs clang 18 and llvm-readobj 18"),
        (
            {
                "clang": CLANG.format("14.0.6"),
                "clang-18": CLANG.format("18.1.8"),
                "llvm-readobj": READOBJ.format("18.1.8"),
            },
            "",
        ),
    ],
)
def test_what_this_machine_lacks(tmp_path: Path, programs: dict[str, str], lacking: str) -> None:
    folder = tmp_path / "Tools" / "jit"
    folder.mkdir(parents=True)
    (folder / "_llvm.py").write_text("_LLVM_VERSION = 18\n")
    assert what_is_lacking(tmp_path, JIT, lambda name: programs.get(name, "")) == lacking
    assert what_is_lacking(tmp_path, [], lambda _name: "") == ""


def test_a_tree_without_a_jit_lacks_nothing(tmp_path: Path) -> None:
    assert what_is_lacking(tmp_path, JIT, lambda _name: "") == ""


def test_programs_are_asked(tmp_path: Path) -> None:
    (tmp_path / "clang-18").write_text("#!/bin/sh\necho clang version 18.1.8\n")
    (tmp_path / "clang-18").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/bin"}
    assert ask_version("clang-18", environment) == "clang version 18.1.8\n"
    assert ask_version("no-such-program", environment) == ""
