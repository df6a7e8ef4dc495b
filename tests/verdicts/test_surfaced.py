"""Whose code raised, and how it is said."""

from __future__ import annotations

import pytest

from pybots.verdicts.surfaced import Place, Surfaced, fails_in, refused_file, surfaced, wording
from pybots.verdicts.verdict import Cause

SITE = "/pybots/env/lib/python3.15/site-packages"
LIB = "/pybots/interpreter/lib/python3.15"
TOP_LEVELS = {
    "Crypto": "pycrypto",
    "_cffi_backend": "cffi",
    "twisted": "Twisted",
    "_pytest": "pytest",
    "pluggy": "pluggy",
}


def standard(*frames: tuple[str, str], end: str = "ValueError: no") -> str:
    lines = [f'  File "{file}", line 3, in {function}\n    call()' for file, function in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, end, ""])


def pytests(*files: str, end: str = "E   ValueError: no") -> str:
    return "\n".join([*(f"{file}:3: in f\n    call()" for file in files), end, ""])


TEST = ("/pybots/source/tests/test_a.py", "test_a")
CASES = {
    "the test itself": (standard(TEST), Place.PROJECT, ""),
    "a dependency": (standard(TEST, (f"{SITE}/Crypto/Hash/MD5.py", "new")), Place.DEPENDENCY, "pycrypto"),
    "the project, installed": (standard(TEST, (f"{SITE}/twisted/web/http.py", "f")), Place.PROJECT, ""),
    "what nobody brought": (standard(TEST, (f"{SITE}/by_a_step/x.py", "f")), Place.PROJECT, ""),
    "the standard library": (standard(TEST, (f"{LIB}/json/decoder.py", "f")), Place.STANDARD_LIBRARY, "json.decoder"),
    "a package of it": (standard(TEST, (f"{LIB}/asyncio/__init__.py", "f")), Place.STANDARD_LIBRARY, "asyncio"),
    "a frozen module": (standard(TEST, ("<frozen os>", "f")), Place.STANDARD_LIBRARY, "os"),
    "an assertion in unittest": (standard(TEST, (f"{LIB}/unittest/case.py", "fail")), Place.PROJECT, ""),
    "an assertion in trial": (standard(TEST, (f"{SITE}/twisted/trial/_synctest.py", "fail")), Place.PROJECT, ""),
    "an import": (standard(TEST, ("<frozen importlib._bootstrap>", "_gcd_import")), Place.PROJECT, ""),
    "importlib.metadata": (
        standard(TEST, (f"{LIB}/importlib/metadata/__init__.py", "version")),
        Place.STANDARD_LIBRARY,
        "importlib.metadata",
    ),
    "the runner's own": (
        standard((f"{SITE}/pluggy/_hooks.py", "f"), (f"{SITE}/_pytest/main.py", "f")), Place.DEPENDENCY, "pytest",
    ),
    "as pytest writes it": (pytests("tests/test_a.py", f"..{SITE}/Crypto/x.py"), Place.DEPENDENCY, "pycrypto"),
    "on Windows": (standard((r"C:\env\Lib\site-packages\Crypto\x.py", "f")), Place.DEPENDENCY, "pycrypto"),
    "free-threaded": (standard((f"{LIB.replace('3.15', '3.15t')}/heapq.py", "f")), Place.STANDARD_LIBRARY, "heapq"),
    "nothing": ("Segmentation fault", Place.UNKNOWN, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_innermost_frame_that_is_not_the_runners(case: str) -> None:
    traceback, place, name = CASES[case]
    found = surfaced(traceback, project="twisted", top_levels=TOP_LEVELS)
    assert (found.place, found.name) == (place, name)


def test_a_recipe_may_call_its_distribution_otherwise() -> None:
    traceback = standard(TEST, (f"{SITE}/Crypto/x.py", "f"))
    assert (
        surfaced(traceback, project="crypto", top_levels=TOP_LEVELS, own=["PyCrypto"]).place is Place.PROJECT
    )


def test_without_a_list_the_name_is_that_of_the_module() -> None:
    found = surfaced(standard(TEST, (f"{SITE}/six.py", "f")), project="twisted", top_levels={})
    assert (found.place, found.name) == (Place.DEPENDENCY, "six")


REFUSED = f"""Traceback (most recent call last):
  File "/pybots/source/tests/test_a.py", line 1, in <module>
    import Crypto
  File "{SITE}/Crypto/core.py", line 5
    x = 0x+80000000
        ^
SyntaxError: invalid hexadecimal literal
"""
AS_PYTEST = f"""tests/test_a.py:1: in <module>
    import Crypto
{SITE}/_pytest/assertion/rewrite.py:186: in exec_module
    exec(co, module.__dict__)
E     File "{SITE}/Crypto/core.py", line 5
E       lazy = 1
E            ^
E   SyntaxError: invalid syntax
"""


@pytest.mark.parametrize("traceback", [REFUSED, AS_PYTEST])
def test_a_syntax_error_is_where_the_file_is(traceback: str) -> None:
    found = surfaced(traceback, project="twisted", top_levels=TOP_LEVELS)
    assert found == Surfaced(Place.DEPENDENCY, "pycrypto", "core.py")
    assert refused_file(traceback) == f"{SITE}/Crypto/core.py"


def test_what_a_program_raises_as_a_syntax_error_is_none() -> None:
    traceback = standard(TEST, (f"{LIB}/ast.py", "parse"), end="SyntaxError: malformed")
    assert refused_file(traceback) == ""


CFFI = "_cffi_backend.cpython-315-x86_64-linux-gnu.so"
NATIVE = {
    "an extension": (f"libc.so.6 raise+0x10\n{CFFI} call+0x3\n", f"{CFFI} of cffi"),
    "a library": ("/usr/lib/libssl.so.3 SSL_new+0x10", "libssl.so.3"),
    "nothing but the interpreter": ("python3.15 _PyEval_Eval+0x1", "the interpreter"),
}  # fmt: skip


@pytest.mark.parametrize("case", NATIVE)
def test_a_crash_is_in_the_innermost_library(case: str) -> None:
    stack, name = NATIVE[case]
    found = surfaced("", project="twisted", top_levels=TOP_LEVELS, native_stack=stack)
    assert found == Surfaced(Place.NATIVE, name)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (Surfaced(Place.DEPENDENCY, "PyCrypto"), "Fails in PyCrypto, under Twisted"),
        (Surfaced(Place.PROJECT), "Fails in Twisted itself"),
        (Surfaced(Place.STANDARD_LIBRARY, "json"), "Fails in the standard library's json, under Twisted"),
        (Surfaced(Place.NATIVE, "x.so"), "Fails in native code (x.so), under Twisted"),
        (Surfaced(), "Fails under Twisted"),
    ],
)
def test_where_it_fails(where: Surfaced, said: str) -> None:
    assert fails_in(where, "Twisted") == said


def test_a_bug_that_a_change_brings_to_light_is_said_to_be_both() -> None:
    own = REFUSED.replace(f"{SITE}/Crypto", "/pybots/source")
    found = surfaced(own, project="mpmath", top_levels=TOP_LEVELS)
    assert wording(found, "mpmath", Cause.INTERPRETER, own) == (
        "Fails in mpmath itself. "
        "core.py is the project's own code, and its own bug, brought to light by the interpreter, which refuses it now."
    )


def test_a_word_that_became_a_keyword_is_no_bug() -> None:
    found = surfaced(AS_PYTEST, project="twisted", top_levels=TOP_LEVELS)
    said = wording(found, "twisted", Cause.INTERPRETER, AS_PYTEST)
    assert "bug" not in said
    assert "core.py is pycrypto's own code; a change in the interpreter is why it is refused now." in said
    assert wording(found, "twisted", Cause.DEPENDENCY, AS_PYTEST) == "Fails in pycrypto, under twisted."
