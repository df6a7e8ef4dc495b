"""What a project's code can do to this machine: whole runs of hostile suites and builds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Ending, Limits, StoredInterpreter
from pybots_worker.runs.place import Place
from pybots_worker.runs.uv_steps import packages_here
from pybots_worker.sandbox.machine import Grants, grants
from pybots_worker.sandbox.words import Lack
from tiny_projects import PASSES, Bench, write_project

LIMITS: dict[str, Any] = {
    "wall_seconds": 60,
    "quiet_seconds": 30,
    "prepare_seconds": 60,
    "memory_bytes": 150_000_000,
    "disk_bytes": 200_000_000,
    "processes": 40,
    "open_files": 200,
    "output_bytes": 30_000_000,
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    write_project(made.source, "tiny", tests=PASSES)
    return made


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def suite(bench: Bench, code: str, **changes: Any) -> Any:
    limits = Limits(**LIMITS | changes.pop("limits", {}))
    return bench.run(command=["{python}", "-c", code], limits=limits, **changes)


def printed(folder: Path) -> dict[str, Any]:
    """What the suite wrote in place of a report."""
    return json.loads((folder / "report").read_text())


SAYS = "import json, os, sys; say = lambda facts: open(os.environ['PYBOTS_REPORT'], 'w').write(json.dumps(facts))\n"


def test_suite_sees_nothing_of_this_machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bench.folder / "password"
    secret.write_text("secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@index.example/simple")
    code = SAYS + (
        "import getpass, platform, socket\n"
        "say({'root': sorted(os.listdir('/')), 'home': os.listdir(os.path.expanduser('~')),\n"
        f" 'secret': os.path.exists({str(secret)!r}), 'here': os.listdir({str(bench.folder)!r}),\n"
        " 'processes': [p for p in os.listdir('/proc') if p.isdigit()],\n"
        " 'names': [getpass.getuser(), platform.node(), os.getuid()], 'secrets': [k for k, v in os.environ.items()\n"
        "  if 'secret' in v], 'address': socket.gethostbyname(platform.node()), 'stdin': sys.stdin.read(),\n"
        " 'etc': os.path.exists('/etc/shadow'), 'tmp': os.listdir(os.environ['TMPDIR'])})"
    )
    result, folder = suite(bench, code)
    assert result.exit_status == 0, result
    seen = printed(folder)
    assert not {"srv", "sys", "boot", "media"} & {*seen["root"]}
    assert (seen["home"], seen["secret"], seen["etc"]) == ([], False, False)
    # The run's folder and our own programs may lie below the system's temporary folder: their mount points do, too.
    shown_there = {part for path in (bench.folder, Path(sys.prefix)) for part in path.parts}
    assert set(seen["tmp"]) <= shown_there
    assert set(seen["here"]) <= {"run1", "links"}
    assert len(seen["processes"]) == 2
    assert seen["names"] == ["pybots", "pybots", 1000]
    assert (seen["secrets"], seen["address"], seen["stdin"]) == ([], "127.0.0.1", "")


def test_a_recipes_variable_shows_nothing(bench: Bench) -> None:
    """`SSL_CERT_FILE` and the like are shown where the worker's owner named a file, and nowhere else."""
    secret = bench.folder / "private"
    secret.mkdir()
    (secret / "key").write_text("secret")
    names = ("SSL_CERT_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    code = SAYS + f"say([os.path.exists({str(secret)!r}), os.environ['PIP_CERT']])"
    result, folder = suite(bench, code, environment=dict.fromkeys(names, str(secret)), network=True)
    assert result.exit_status == 0, result
    assert printed(folder) == [False, str(secret)]


@pytest.mark.parametrize(
    ("named", "stored", "shown"),
    [
        ({"requirements": ["dep @ git+file://{here}@v1"]}, False, True),
        ({"source": {"kind": "git", "url": "{here}", "ref": "v1"}}, False, True),
        ({"source": {"kind": "git", "url": "https://example.org{here}", "ref": "v1"}}, False, False),
        ({"install": [["cat", "{here}"]]}, True, False),
        ({"requirements": ["dep @ git+file://{here}@v1"]}, True, False),
        ({"source": {"kind": "git", "url": "{here}", "ref": "v1"}}, True, False),
    ],
)
def test_folders_of_this_machine_are_for_who_tries_a_recipe_here(
    bench: Bench, named: dict[str, Any], stored: bool, shown: bool
) -> None:
    fields = json.loads(json.dumps(named).replace("{here}", str(bench.folder)))
    if stored:
        fields["interpreter"] = StoredInterpreter(digest="0" * 64, url="http://example.org")
    place = Place(bench.specification(**fields), bench.folder, bench.folder, BoundedLog(10, 10))
    assert packages_here(place) == ([bench.folder] if shown else [])


def test_suite_writes_only_what_is_the_runs(bench: Bench) -> None:
    other = bench.folder / "other-run"
    other.mkdir()
    code = SAYS + (
        "import tempfile\n"
        "def writes(folder):\n"
        "  try: open(os.path.join(folder, 'planted'), 'w').close(); return True\n"
        "  except OSError: return False\n"
        f"places = [os.path.dirname(os.path.realpath(sys.executable)), sys.base_prefix, {str(other)!r},\n"
        f"  {str(bench.links)!r}, '/', '/usr', '/etc', '/dev', '/proc/sys/kernel',\n"
        "  os.environ['PYTHONPATH']]\n"
        "own = [os.getcwd(), os.environ['HOME'], tempfile.gettempdir(), '/tmp', '/var/tmp', '/dev/shm', sys.prefix]\n"
        "say([[p for p in places if writes(p)], [p for p in own if not writes(p)]])"
    )
    result, folder = suite(bench, code)
    assert result.exit_status == 0, result
    assert printed(folder) == [[], []]
    assert {path.parent.name for path in bench.folder.rglob("planted")} <= {
        "project",
        "source",
        "home",
        "venv",
    }


@pytest.mark.parametrize("network", [False, True])
def test_network_is_there_where_it_is_asked_for(bench: Bench, listening: int, network: bool) -> None:
    code = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname(), 5)\n"
        "six = socket.create_server(('::1', 0), family=socket.AF_INET6)\n"
        "socket.create_connection(six.getsockname()[:2], 5)\n"
        "socket.create_connection(('localhost', server.getsockname()[1]), 5)\n"
        f"try: socket.create_connection(('127.0.0.1', {listening}), 5)\n"
        "except OSError: sys.exit(3)\n"
    )
    result, _ = suite(bench, code, network=network)
    assert result.exit_status == (0 if network else 3), result


def test_memory(bench: Bench) -> None:
    result, _ = suite(bench, "x = bytearray(600_000_000); print(len(x))")
    assert (result.ending, result.detail) == (Ending.MEMORY_LIMIT, "the suite used more memory than 150 MB")


def test_files_in_memory_are_memory(bench: Bench) -> None:
    code = "import os\nfor n in range(9): open('/dev/shm/%d' % n, 'wb').write(bytes(30_000_000))"
    result, _ = suite(bench, code, limits={"memory_bytes": 400_000_000})
    assert result.exit_status == 1  # half of the memory is all that fits
    result, _ = suite(
        bench,
        "import os, time; f = os.memfd_create('x')\nfor n in range(9): os.write(f, bytes(30_000_000))\ntime.sleep(9)",
    )
    assert result.ending is Ending.MEMORY_LIMIT


@pytest.mark.parametrize("grouped", [False, True])
def test_shared_memory_that_nobody_has_attached(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    """Without control groups too: only the sandbox's own first process sees its segments."""
    if not grouped:
        monkeypatch.setattr("pybots_worker.processes.open_group", lambda *_: None)
    code = (
        "import ctypes, time; c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p\n"
        "for _ in range(4):\n"
        "  at = c.shmat(c.shmget(0, 60_000_000, 0o1600), None, 0); assert at > 0\n"
        "  ctypes.memset(at, 1, 60_000_000); c.shmdt(ctypes.c_void_p(at))\n"
        "time.sleep(20)"
    )
    result, _ = suite(bench, code)
    assert result.ending is Ending.MEMORY_LIMIT, result
    assert result.suite_seconds < 15


def test_disk(bench: Bench) -> None:
    code = "import os\nfor n in range(9): open(str(n), 'wb').write(bytes(50_000_000))"
    result, _ = suite(bench, f"{code}\nimport time; time.sleep(20)")
    assert (result.ending, result.detail) == (
        Ending.DISK_LIMIT,
        "the suite wrote more than 200 MB to the disk",
    )
    result, _ = suite(bench, code, limits={"disk_bytes": 300_000_000})
    assert result.ending is Ending.DISK_LIMIT  # it ended before anybody looked


def test_disk_of_a_file_without_a_name(bench: Bench) -> None:
    code = (
        "import os, time\nkept = []\nfor n in range(9):\n"
        "  kept.append(open('x', 'wb', 0)); os.unlink('x'); kept[-1].write(bytes(50_000_000))\n"
        "time.sleep(20)"
    )
    result, _ = suite(bench, code)
    assert result.ending is Ending.DISK_LIMIT


WRITES = """import mmap, os, time
def files():
  for n in range(3):
    f = os.open(str(n), os.O_CREAT | os.O_RDWR)
    for _ in range(2): os.write(f, bytes(50_000_000))
    yield f
"""


@pytest.mark.parametrize(
    "code",
    [
        # Below paths that are too long for the kernel.
        WRITES + "for n in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\n[*files()]\ntime.sleep(20)",
        # Where nobody may read.
        WRITES + "os.mkdir('d'); os.chdir('d'); [*files()]; os.chmod('.', 0o300)\ntime.sleep(20)",
        # Mapped, without a name.
        WRITES + "kept = []\n"
        "for f in files(): kept.append(mmap.mmap(f, 0)); os.close(f); os.unlink(str(len(kept) - 1))\n"
        "time.sleep(20)",
    ],
)
def test_disk_where_it_is_hard_to_see(bench: Bench, code: str) -> None:
    result, _ = suite(bench, code, limits={"memory_bytes": 2_000_000_000})
    assert result.ending is Ending.DISK_LIMIT, result
    assert result.suite_seconds < 15


def test_forks_without_end(bench: Bench) -> None:
    code = "import os, time\ntry:\n  while True: os.fork()\nexcept BlockingIOError: time.sleep(3)\n"
    result, _ = suite(bench, code)
    assert result.ending in {Ending.EXITED, Ending.MEMORY_LIMIT}
    assert "limit of 40 processes" in result.detail or "more than 40 processes" in result.detail


def test_open_files(bench: Bench) -> None:
    code = "import time\nfiles = []\ntry:\n  while True: files.append(open('/dev/null'))\nexcept OSError: time.sleep(3)"
    result, _ = suite(bench, code)
    assert (result.ending, result.detail) == (Ending.EXITED, "it met the limit of 200 open files")


def test_output(bench: Bench) -> None:
    result, _ = suite(bench, "import os\nwhile True: os.write(1, b'x' * 65536)")
    assert (result.ending, result.detail) == (Ending.DISK_LIMIT, "the suite printed more than 30 MB")


DAEMON = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '599'])
    os._exit(0)
os.wait()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(599)"], start_new_session=True)
time.sleep(0.5)
"""


def test_what_is_left_running_is_named_and_dead(bench: Bench) -> None:
    result, _ = suite(bench, DAEMON)
    name = Path(os.path.realpath(sys.executable)).name
    named = {f"it left 2 processes running: {one}, sleep" for one in (name, "python")}
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0)
    assert result.detail in named
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x00599" in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGTERM"])
def test_signal_is_told_exactly(bench: Bench, name: str) -> None:
    result, _ = suite(bench, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert (result.ending, result.signal, result.exit_status) == (Ending.CRASHED, name, None)


def test_status_above_128_is_no_signal(bench: Bench) -> None:
    result, _ = suite(bench, "raise SystemExit(139)")
    assert (result.ending, result.signal, result.exit_status) == (Ending.EXITED, "", 139)


def test_suite_that_is_stopped_has_time_to_write_its_report(bench: Bench) -> None:
    code = (
        "import os, signal, sys, time\n"
        "def stop(*_): open(os.environ['PYBOTS_REPORT'], 'w').write('late'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); time.sleep(60)"
    )
    result, folder = suite(bench, code, limits={"wall_seconds": 2})
    assert (result.ending, (folder / "report").read_text()) == (Ending.WALL_LIMIT, "late")


def test_first_process_cannot_be_touched(bench: Bench) -> None:
    code = SAYS + (
        "import signal\n"
        "def fails(what):\n"
        "  try: what(); return False\n"
        "  except OSError: return True\n"
        "os.kill(1, signal.SIGKILL)\n"
        "say([all([fails(lambda: open('/proc/1/fd/%d' % n, 'wb')) for n in range(99)]),\n"
        "  fails(lambda: open('/proc/1/mem', 'rb')), fails(lambda: os.readlink('/proc/1/cwd'))])"
    )
    result, folder = suite(bench, code)
    assert printed(folder) == [True, True, True], result


def test_planted_links_lead_nobody_astray(bench: Bench) -> None:
    """A build that plants links where the worker writes later changes nothing outside, and nothing is sent of it."""
    secret = bench.folder / "secret"
    secret.write_text("secret")
    plant = (
        "import os\nfor folder, _, _ in os.walk(os.path.dirname(os.environ['HOME'])):\n"
        f"  for name in ('report', 'pip.log', 'result.json.part', 'log.zst.part', 'deselected.json', 'lock.txt'):\n"
        f"    try: os.symlink({str(secret)!r}, os.path.join(folder, name))\n"
        "    except OSError: pass\n"
    )
    result, folder = suite(bench, "", install=[["{python}", "-c", plant]])
    assert (result.ending, result.report_present) == (Ending.EXITED, False), result
    assert secret.read_text() == "secret"
    result, folder = suite(bench, "print('x')", install=[["{python}", "-c", plant]], report="subunit")
    assert (result.report_present, (folder / "report").read_text()) == (True, "x\n")
    assert secret.read_text() == "secret"


def test_build_is_shut_in_too(bench: Bench, listening: int) -> None:
    secret = bench.folder / "secret"
    secret.write_text("")
    tries = f"import os, socket; assert not os.path.exists({str(secret)!r})\n"
    tries += f"try: socket.create_connection(('127.0.0.1', {listening}), 5)\n"
    tries += "except OSError: pass\nelse: raise SystemExit('reached')\n"
    backend = bench.source / "backend.py"
    backend.write_text(tries + backend.read_text())
    result, _ = suite(bench, "")
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result.detail


def test_build_meets_limits_too(bench: Bench) -> None:
    result, _ = suite(bench, "", install=[["{python}", "-c", "x = bytearray(600_000_000)"]])
    assert result.ending is Ending.MEMORY_LIMIT
    assert result.detail.endswith("it used more memory than 150 MB")


@pytest.mark.parametrize("allowed", [False, True])
def test_without_a_sandbox_nothing_runs_unless_the_owner_allows_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    found = Grants(None, grants().system, Lack("bubblewrap is missing"))
    for module in ("pybots_worker.runs.carry_out", "pybots_worker.runs.place"):
        monkeypatch.setattr(f"{module}.grants", lambda: found)
    from pybots_worker.runs.carry_out import carry_out

    folder = bench.folder / "run"
    folder.mkdir()
    specification = bench.specification()
    result = carry_out(specification, folder=folder, cache=bench.folder / "cache", without_sandbox=allowed)
    assert result.ending is (Ending.EXITED if allowed else Ending.UNFIT), result
    if not allowed:
        assert result.detail == (
            "this machine has no sandbox: bubblewrap is missing; install bubblewrap 0.8 or newer, "
            "or allow it with --run-projects-without-a-sandbox"
        )


def test_nothing_is_left_of_a_worker_that_is_killed(bench: Bench) -> None:
    specification = bench.specification(
        command=["{python}", "-c", "import subprocess; subprocess.run(['sleep', '597'])"]
    )
    folder = bench.folder / "run"
    folder.mkdir()
    (folder / "specification.json").write_text(specification.model_dump_json())
    command = [
        sys.executable,
        "-m",
        "pybots_worker.commands",
        "run",
        str(folder),
        "--cache",
        str(bench.folder / "c"),
    ]
    ours = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _wait(lambda: bool(_sleeping()), 60)
    ours.kill()
    ours.wait(20)
    _wait(lambda: not _sleeping(), 20)


def _sleeping() -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x00597" in _read(path)]


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
