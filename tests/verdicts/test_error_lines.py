"""What of a log tells why a run went wrong, on texts that real tools wrote."""

from __future__ import annotations

import pytest

from pybots.verdicts.error_lines import error_lines, whole_signature
from pybots.verdicts.evidence import Kind

GCC = """\
building 'markupsafe._speedups' extension
gcc -pthread -Wno-unused-result -O3 -fPIC -I/farm/runs/1/venv/include -c src/markupsafe/_speedups.c -o build/_speedups.o
src/markupsafe/_speedups.c: In function \u2018escape\u2019:
src/markupsafe/_speedups.c:163:12: error: \u2018PyUnicodeObject\u2019 has no member named \u2018wstr\u2019
  163 |         if (s->wstr)
      |            ^~~~
src/markupsafe/_speedups.c:170:3: error: too few arguments to function \u2018PyUnicode_New\u2019
error: command '/usr/bin/gcc' failed with exit code 1
"""
GCC_ELSEWHERE = """\
gcc -c lib/other.c -o /tmp/tmpabcdefg1/other.o
lib/other.c:9:1: warning: unused variable \u2018x\u2019 [-Wunused-variable]
lib/other.c:12:40: error: \u2018PyUnicodeObject\u2019 has no member named \u2018wstr\u2019
error: command '/usr/bin/cc' failed with exit code 1
"""
NO_HEADER = """\
  _cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory
     15 | #include <ffi.h>
        |          ^~~~~~~
  compilation terminated.
  error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1
  ----------------------------------------
  ERROR: Failed building wheel for cffi
"""
CLANG = """\
/home/u/p/ext.cpp:31:17: error: use of undeclared identifier 'PyEval_CallObject'
1 error generated.
"""
MSVC = r"""
C:\src\ext.c(210): error C2039: 'tp_print': is not a member of '_typeobject'
error: command 'C:\\Program Files\\cl.exe' failed with exit code 2
"""
LINKER = """\
/usr/bin/ld: build/temp/x.o: in function `init':
x.c:(.text+0x1d): undefined reference to `_PyLong_AsByteArrayOld'
collect2: error: ld returned 1 exit status
"""
RUST = """\
error[E0425]: cannot find function `PyUnicode_READY` in crate `ffi`
   --> /home/builder/.cargo/registry/src/pyo3-0.20.0/src/types/string.rs:19:14
error: could not compile `pyo3` (lib) due to 1 previous error
"""
SETUP = """\
Traceback (most recent call last):
  File "/farm/runs/2/build.py", line 3, in <module>
    main()
  File "/farm/runs/2/source/setup.py", line 4, in <module>
    from distutils.core import setup
ModuleNotFoundError: No module named 'distutils'
"""
UV = """\
$ uv pip compile --python /venv/bin/python requirements.in
  \u00d7 No solution found when resolving dependencies:
  \u2570\u2500\u25b6 Because no-such-distribution-anywhere was not found in the package registry
"""
PYTEST = """\
==================================== ERRORS ====================================
_________________________ ERROR collecting test_it.py __________________________
ImportError while importing test module '/farm/runs/3/source/test_it.py'.
test_it.py:1: in <module>
    from collections import Mapping
E   ImportError: cannot import name 'Mapping' from 'collections' (/opt/x/lib/python3.15/collections/__init__.py)
=========================== short test summary info ============================
ERROR test_it.py
"""
CRASH = """\
test_it.py ..Fatal Python error: Segmentation fault

Current thread 0x00007f1c2b4c5740 (most recent call first):
  File "/farm/runs/4/source/mini.py", line 14 in walk
  File "/farm/runs/4/source/mini.py", line 20 in visit
  File "/farm/runs/4/source/test_it.py", line 9 in test_walk
  File "/farm/runs/4/venv/lib/python3.15/site-packages/_pytest/python.py", line 194 in pytest_pyfunc_call
"""


@pytest.mark.parametrize(
    ("log", "kind", "lines"),
    [
        (GCC, Kind.INSTALL_FAILED, ["error: 'PyUnicodeObject' has no member named 'wstr'"]),
        (NO_HEADER, Kind.ENVIRONMENT_FAILED, ["fatal error: ffi.h: No such file or directory"]),
        (CLANG, Kind.INSTALL_FAILED, ["error: use of undeclared identifier 'PyEval_CallObject'"]),
        (MSVC, Kind.INSTALL_FAILED, ["error C2039: 'tp_print': is not a member of '_typeobject'"]),
        (LINKER, Kind.INSTALL_FAILED, ["undefined reference to '_PyLong_AsByteArrayOld'"]),
        (RUST, Kind.INSTALL_FAILED, ["error[E0425]: cannot find function 'PyUnicode_READY' in crate 'ffi'"]),
        (SETUP, Kind.INSTALL_FAILED, ["ModuleNotFoundError: No module named 'distutils'"]),
        (UV, Kind.ENVIRONMENT_FAILED, ["No solution found when resolving dependencies:"]),
        (
            PYTEST,
            Kind.COLLECTION_FAILED,
            ["ImportError: cannot import name 'Mapping' from 'collections' (__init__.py)"],
        ),
        (
            CRASH,
            Kind.CRASHED,
            [
                "Fatal Python error: Segmentation fault",
                "mini.py:walk",
                "mini.py:visit",
                "test_it.py:test_walk",
            ],
        ),
        ("all is well\n", Kind.INSTALL_FAILED, []),
        ("", Kind.TIMED_OUT, []),
    ],
)
def test_the_lines_that_tell(log: str, kind: Kind, lines: list[str]) -> None:
    assert error_lines(log, kind) == lines


def test_two_projects_that_meet_the_same_fault_have_one_signature() -> None:
    one = whole_signature(Kind.INSTALL_FAILED, GCC, "pip ended with 1")
    assert one == whole_signature(Kind.INSTALL_FAILED, GCC_ELSEWHERE, "build ended with 2")
    assert one != whole_signature(Kind.INSTALL_FAILED, NO_HEADER, "pip ended with 1")


def test_where_the_log_tells_nothing_the_detail_counts() -> None:
    one = whole_signature(Kind.CRASHED, "", "SIGSEGV in test_it.T.test_a after 12.3 s")
    assert one == whole_signature(Kind.CRASHED, "", "SIGSEGV in test_it.T.test_a after 99 s")
    assert one != whole_signature(Kind.CRASHED, "", "SIGABRT in test_it.T.test_a after 12.3 s")


def test_a_log_of_any_size_takes_no_time() -> None:
    hostile = "x" * 5_000_000 + "\n" + "error: " * 100_000 + "\n" + "a.b." * 100_000 + "Error"
    error_lines(hostile * 3, Kind.INSTALL_FAILED)
