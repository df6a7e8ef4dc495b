"""Real programs, real signals: whatever a program does, it ends, and nothing of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import zstandard

from pybots_worker.processes import (
    TOKEN_VARIABLE,
    BoundedLog,
    Finished,
    StoppedError,
    kill_leftovers,
    run_limited,
)

ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}


def run(
    tmp_path: Path, code: str, *, log: BoundedLog | None = None, wall: float = 60, **options: object
) -> Finished:
    return run_limited(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        environment=ENVIRONMENT,
        log=log or BoundedLog(10_000, 10_000),
        wall_seconds=wall,
        **options,  # type: ignore[arg-type]
    )


def wait_for(path: Path, seconds: float = 20) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text().strip()
        time.sleep(0.02)
    raise AssertionError(f"{path} was never written")


def gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("status", [0, 1, 3, 127])
def test_exit_status(tmp_path: Path, status: int) -> None:
    finished = run(tmp_path, f"raise SystemExit({status})")
    assert (finished.exit_status, finished.signal, finished.ending) == (status, "", "exited")
    assert finished.succeeded == (status == 0)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGTERM"])
def test_signal_is_named(tmp_path: Path, name: str) -> None:
    finished = run(tmp_path, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert (finished.exit_status, finished.signal, finished.ending) == (None, name, "exited")


def test_sees_only_the_environment_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    log = BoundedLog(10_000, 10_000)
    run_limited(["env"], cwd=tmp_path, environment=ENVIRONMENT, log=log, wall_seconds=60)
    names = {line.split("=")[0] for line in log.tail_text(100).splitlines()}
    assert names == {"PATH", "LANG", TOKEN_VARIABLE}


def test_signals_are_not_ignored_as_python_or_our_caller_would(tmp_path: Path) -> None:
    log = BoundedLog(10_000, 10_000)
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        run_limited(
            ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"],
            cwd=tmp_path,
            environment=ENVIRONMENT,
            log=log,
            wall_seconds=60,
        )
    finally:
        signal.signal(signal.SIGUSR2, before)
    # 32 and 33 are the C library's own: a program cannot set them, and the tests' browser leaves one ignored.
    own = (1 << 31) | (1 << 32)
    masks = [int(line.split()[1], 16) & ~own for line in log.tail_text(5).splitlines()]
    assert masks == [0, 0]


def test_unknown_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no program of this name on PATH"):
        run_limited(
            ["no-such-program"], cwd=tmp_path, environment=ENVIRONMENT, log=BoundedLog(9, 9), wall_seconds=9
        )
    with pytest.raises(FileNotFoundError, match="missing"):
        run_limited(
            ["./missing"], cwd=tmp_path, environment=ENVIRONMENT, log=BoundedLog(9, 9), wall_seconds=9
        )


def test_busy_loop_meets_the_wall_limit(tmp_path: Path) -> None:
    finished = run(tmp_path, "while True: pass", wall=2, quiet_seconds=60)
    assert (finished.exit_status, finished.signal, finished.ending) == (None, "", "wall-limit")
    assert finished.seconds < 15


def test_sleeper_meets_the_quiet_limit(tmp_path: Path) -> None:
    finished = run(tmp_path, "import time; time.sleep(600)", quiet_seconds=2)
    assert finished.ending == "quiet-limit"


def test_a_child_at_work_is_not_quiet(tmp_path: Path) -> None:
    busy = "import time; end = time.monotonic() + 6\nwhile time.monotonic() < end: pass"
    finished = run(
        tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])", quiet_seconds=3
    )
    assert finished.ending == "exited"


def test_a_trickle_of_output_is_not_quiet(tmp_path: Path) -> None:
    code = "import time\nfor _ in range(10): print('.', flush=True); time.sleep(0.5)"
    assert run(tmp_path, code, quiet_seconds=2.5).ending == "exited"


def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    assert run(tmp_path, code, wall=1).ending == "wall-limit"


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if %r: os.closerange(0, 3)
        open("pid", "w").write(f"{os.getpid()}\\n")
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
    os._exit(0)
while not os.path.exists("pid") or not open("pid").read().endswith("\\n"): time.sleep(0.01)
"""


@pytest.mark.parametrize("closes_its_pipes", [True, False])
def test_daemon_that_forks_twice_is_killed(tmp_path: Path, closes_its_pipes: bool) -> None:
    finished = run(tmp_path, DAEMON % closes_its_pipes, wall=30)
    assert (finished.ending, finished.exit_status) == ("exited", 0)
    assert gone(int((tmp_path / "pid").read_text()), seconds=1)


def test_flood_costs_no_memory_and_keeps_head_and_tail(tmp_path: Path) -> None:
    log = BoundedLog(1000, 1000)
    before = psutil.Process().memory_info().rss
    code = "import os\nos.write(1, b'first\\n')\n"
    code += "for _ in range(3000): os.write(1, b'x' * 99_999 + b'\\n')\nos.write(2, b'last\\n')"
    finished = run(tmp_path, code, log=log)
    assert finished.exit_status == 0
    assert psutil.Process().memory_info().rss - before < 20_000_000
    kept = zstandard.ZstdDecompressor().decompress(log.compressed())
    assert kept.startswith(b"first\n")
    assert kept.endswith(b"last\n")
    assert b"[... 299998011 bytes left out ...]" in kept
    assert log.truncated


def test_stdout_to_a_file_is_bounded(tmp_path: Path) -> None:
    log = BoundedLog(1000, 1000)
    code = "import sys; sys.stdout.write('o' * 5000); sys.stderr.write('e')"
    finished = run(tmp_path, code, log=log, stdout_to=tmp_path / "out", stdout_bytes=3000)
    assert (tmp_path / "out").read_text() == "o" * 3000
    assert finished.truncated
    assert log.contents() == b"e"
    assert not run(tmp_path, code, log=log, stdout_to=tmp_path / "out", stdout_bytes=5000).truncated


def test_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, "import os; os.write(1, b'x' * 1_000_000)", stdout_to=Path("/dev/full"))


SUITE = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("pids", "w").write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""
PARENT = f"""
import sys
from pathlib import Path
from pybots_worker.processes import BoundedLog, run_limited
command = [sys.executable, "-c", {SUITE!r}]
run_limited(command, cwd=Path(sys.argv[1]), environment={{}}, log=BoundedLog(9, 9), wall_seconds=600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_we_are_killed(tmp_path: Path, number: signal.Signals) -> None:
    ours = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stderr=subprocess.DEVNULL)
    pids = [int(pid) for pid in wait_for(tmp_path / "pids").split()]
    ours.send_signal(number)
    ours.wait(20)
    assert all(gone(pid) for pid in pids)


def test_nothing_is_left_when_our_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    script = f"import subprocess; subprocess.Popen({command!r}).wait()"
    grandparent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    pids = [int(pid) for pid in wait_for(tmp_path / "pids").split()]
    ours = psutil.Process(grandparent.pid).children()[0].pid
    grandparent.kill()
    grandparent.wait(20)
    assert all(gone(pid) for pid in [*pids, ours])


BETWEEN = """
import os, sys, time
from pathlib import Path
from pybots_worker.processes import BoundedLog, StoppedError, run_limited
folder, parent = Path(sys.argv[1]), os.getppid()
def run(): run_limited(["true"], cwd=folder, environment={}, log=BoundedLog(9, 9), wall_seconds=60)
run()
(folder / "ready").write_text(f"{os.getpid()}\\n")
while os.getppid() == parent: time.sleep(0.02)
try: run()
except StoppedError as error: (folder / "told").write_text(f"{error}\\n")
else: (folder / "told").write_text("it was not noticed\\n")
"""


def test_parent_that_dies_between_two_programs_is_noticed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BETWEEN, str(tmp_path)]
    script = f"import subprocess; subprocess.Popen({command!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_for(tmp_path / "ready")
    parent.kill()
    parent.wait(20)
    assert wait_for(tmp_path / "told") == "the process that started us is gone"


OWNER = """
import os, sys, time
from pathlib import Path
from pybots_worker.processes import recorded
with recorded():
    Path(sys.argv[1]).write_text("ready\\n")
    time.sleep(600)
"""


def test_our_own_command_is_a_leftover_too(tmp_path: Path) -> None:
    """A number that went to another process meanwhile is not its."""
    active = tmp_path / "active"
    active.mkdir()
    other = subprocess.Popen(["sleep", "600"])
    (active / f"owner-{other.pid}.json").write_text(json.dumps({"owner": other.pid}))
    environment = {**os.environ, "PYBOTS_ACTIVE_FOLDER": str(active)}
    ours = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "ready")], env=environment)
    try:
        wait_for(tmp_path / "ready")
        assert kill_leftovers(active) == 1
        assert gone(ours.pid, seconds=1)
        assert other.poll() is None
        assert not list(active.iterdir())
    finally:
        for process in (ours, other):
            process.kill()
            process.wait(10)


def test_least_free_space_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([100, 7])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=next(left, 90)))
    assert run(tmp_path, "import time; time.sleep(0.5)").free_bytes == 7


def test_keeper_killed_is_not_a_hang(tmp_path: Path) -> None:
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"
    finished = run(tmp_path, code, wall=30)
    assert (finished.signal, finished.ending) == ("SIGKILL", "exited")


def test_sigterm_raises_stopped(tmp_path: Path) -> None:
    code = f"import os, signal, time; os.kill({os.getpid()}, signal.SIGTERM); time.sleep(600)"
    with pytest.raises(StoppedError):
        run(tmp_path, code, wall=30)


def test_leftovers_of_a_crash_are_known_by_their_token(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "600"], env={**ENVIRONMENT, TOKEN_VARIABLE: "abc"})
    other = subprocess.Popen(["sleep", "600"], env={**ENVIRONMENT, TOKEN_VARIABLE: "other"})
    (tmp_path / "abc.json").write_text(json.dumps({"keeper": 1, "token": "abc"}))
    (tmp_path / "broken.json").write_text("{")
    try:
        assert kill_leftovers(tmp_path) == 1
        assert left.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert not (tmp_path / "abc.json").exists()
    finally:
        other.kill()
        other.wait(10)


def test_what_runs_is_recorded_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBOTS_ACTIVE_FOLDER", str(tmp_path))
    code = "import glob, os; print(glob.glob('*.json') == [os.environ['PYBOTS_TOKEN'] + '.json'])"
    log = BoundedLog(100, 100)
    assert run(tmp_path, code, log=log).exit_status == 0
    assert log.contents() == b"True\n"
    assert not list(tmp_path.glob("*.json"))
