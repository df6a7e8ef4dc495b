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
PIP_WARNED = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError("Failed to establish a new connection: [Errno 111] Connection refused")': /simple/nodep/
ERROR: Could not find a version that satisfies the requirement nodep (from versions: none)
"""
PIP_GOT_THROUGH = PIP_WARNED.replace("total=0", "total=4")
PIP_UNFETCHED = PIP + "Could not fetch URL http://i/simple/nodep/: {} - skipping\n"
RATE = "error: Failed to fetch: http://i/simple/nodep/\n  cause: HTTP status client error (429 Too Many Requests)"
ABSENT = "error: Failed to fetch: http://i/a.whl\n  cause: HTTP status client error (404 Not Found)"
TRUNCATED = """\
error: Failed to fetch: http://127.0.0.1:34615/simple/nodep/
  cause: error decoding response body for url (http://127.0.0.1:34615/simple/nodep/)
  cause: end of file before message length reached
"""
SSH = "ssh: connect to host h.example port 22: Connection refused\nfatal: Could not read from remote repository.\n"
GIT = "fatal: unable to access 'http://h.example/x.git/': {}\n"
GIT_CUT = (
    "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF\n"
)
GONE = (
    "ERROR: Could not install packages due to an OSError: ('Connection broken: IncompleteRead(6 bytes read)')"
)


@pytest.mark.parametrize(
    "output",
    [
        *(PIP_WARNED, RATE, TRUNCATED, SSH, GIT_CUT, GONE),
        PIP_UNFETCHED.format("429 Client Error: Too Many Requests for url"),
        PIP_UNFETCHED.format("Max retries exceeded with url (Caused by ResponseError('too many 503 error"),
        PIP_UNFETCHED.format("connection error: the connection was closed without a reply"),
        GIT.format("Failed to connect to h.example port 9 after 0 ms: Couldn't connect to server"),
        GIT.format("The requested URL returned error: 503"),
        GIT.format("The requested URL returned error: 429"),
        GIT.format("Recv failure: Connection reset by peer"),
        GIT.format("transfer closed with 994 bytes remaining to read"),
        GIT.format("Operation too slow. Less than 1000 bytes/sec transferred the last 60 seconds"),
        "fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused\n",
    ],
)
def test_network_is_nobodys_fault(output: str) -> None:
    assert explain(output).trouble is Trouble.NETWORK


@pytest.mark.parametrize(
    "output",
    [
        *(PIP_GOT_THROUGH, ABSENT, PIP_UNFETCHED.format("404 Client Error: Not Found for url")),
        GIT.format("The requested URL returned error: 404"),
        "fatal: repository 'http://h.example/x.git/' not found\n",
    ],
)
def test_answer_of_a_server_that_is_well_is_not_the_network(output: str) -> None:
    assert explain(output).trouble is not Trouble.NETWORK


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
