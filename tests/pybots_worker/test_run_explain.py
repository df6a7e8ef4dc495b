"""What uv, pip, git and backends print, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.runs.explain import Trouble, explain

BUILD = """\
error: Failed to build `dep==1.0`
  cause: The build backend returned an error
  cause: Call to `backend.build_wheel` failed (exit status: 1)

         [stderr]
         ext.c:3:5: error: unknown type name 'foo'
         Traceback (most recent call last):
         RuntimeError: command 'gcc' failed with exit code 1

hint: Build failures usually indicate a problem with the package or the build environment
"""
INNER = """\
error: Failed to build `/run/source`
  cause: Failed to install requirements from `build-system.requires`
  cause: Failed to build `tool==2`
  cause: The build backend returned an error
         SystemExit: it does not work here
"""
MISSING = """\
error: No solution found when resolving dependencies
  cause: Because nodep was not found in the provided package locations and proj==1 depends on nodep>2, we can
"""
UNREACHABLE = """\
error: Failed to fetch: http://127.0.0.1:9/simple/nodep/
  cause: error sending request for url (http://127.0.0.1:9/simple/nodep/)
  cause: tcp connect error
"""
FULL = """\
error: Failed to initialize cache at `full/c`
  cause: failed to write to file `/full/c/CACHEDIR.TAG`: No space left on device (os error 28)
"""
HASHES = """\
error: Failed to read `dep==1.0`
  cause: Hash mismatch for `dep==1.0`
"""
PIP = """\
ERROR: Could not find a version that satisfies the requirement nodep (from versions: none)
ERROR: No matching distribution found for nodep
"""


@pytest.mark.parametrize(
    ("output", "trouble", "package", "reason"),
    [
        (
            BUILD,
            Trouble.BUILD,
            "dep==1.0",
            "ext.c:3:5: error: unknown type name 'foo'; RuntimeError: command 'gcc'",
        ),
        (INNER, Trouble.BUILD, "tool==2", "SystemExit: it does not work here"),
        (MISSING, Trouble.RESOLVE, "", "Because nodep was not found"),
        (UNREACHABLE, Trouble.NETWORK, "", "error sending request for url"),
        (FULL, Trouble.DISK, "", "failed to write to file"),
        (HASHES, Trouble.RESOLVE, "", "Hash mismatch for `dep==1.0`"),
        (PIP, Trouble.RESOLVE, "", "Could not find a version that satisfies the requirement nodep"),
        ("ConnectionError: Connection refused\n", Trouble.OTHER, "", "ConnectionError: Connection refused"),
        ("", Trouble.OTHER, "", "it printed nothing"),
        ("something\nlast words\n", Trouble.OTHER, "", "last words"),
    ],
)
def test_explain(output: str, trouble: Trouble, package: str, reason: str) -> None:
    found = explain(output)
    assert (found.trouble, found.package) == (trouble, package)
    assert found.reason.startswith(reason)


@given(st.text())
def test_whatever_is_printed_something_is_said(output: str) -> None:
    assert explain(output).reason
