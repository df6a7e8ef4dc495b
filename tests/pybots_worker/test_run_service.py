"""A service beside a suite: real processes, in the sandbox too, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pybots_worker.contract import Ending, RunResult, Service
from pybots_worker.runs.placeholders import problems
from tiny_projects import Bench, write_project

UNDER_TEST = Path(__file__).parents[2] / "workers" / "pybots_worker" / "under_test"
SERVICE = """
import pathlib, signal, sys, time
{before}
pathlib.Path(sys.argv[1], "ready").touch()
print("served", flush=True)
{after}
"""
READY = "import pathlib, sys; sys.exit(not pathlib.Path(sys.argv[1], 'ready').exists())"
SLEEPS = "time.sleep(60)"
UNAVAILABLE = 69


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def run_plan(
    folder: Path, *, before: str = "", after: str = SLEEPS, suite: list[str], **changes: Any
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the wrapper; returns how it ended and the reason that it wrote."""
    plan = {
        "start": python(SERVICE.format(before=before, after=after), str(folder)),
        "ready": python(READY, str(folder)),
        "suite": suite,
        "seconds": 20,
        "failure": str(folder / "reason"),
        **changes,
    }
    command = [sys.executable, "-I", "-S", str(UNDER_TEST / "pybots_service.py"), json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    reason = folder / "reason"
    return done, reason.read_text() if reason.exists() else ""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("print('tested')", 0),
        ("import sys; print('tested'); sys.exit(3)", 3),
        ("import os, signal; print('tested', flush=True); os.kill(os.getpid(), signal.SIGSEGV)", -11),
    ],
)
def test_it_ends_as_the_suite_does(tmp_path: Path, code: str, status: int) -> None:
    done, reason = run_plan(tmp_path, suite=python(code))
    assert (done.returncode, reason) == (status, "")
    assert done.stdout == "tested\n"  # the suite's alone: it may be the report
    assert "served\n" in done.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"before": "sys.exit('no room')"}, "exited with status 1 before it was ready: no room"),
        ({"before": "import os; os.abort()"}, "was ended by SIGABRT before it was ready"),
        ({"before": SLEEPS, "seconds": 0.5}, "was not ready within 0.5 s"),
        (
            {"ready": python("import sys; sys.exit('not yet')"), "seconds": 1},
            "was not ready within 1 s: not yet",
        ),
        ({"start": ["/nowhere/server"]}, "/nowhere/server cannot be started: No such file or directory"),
        ({"ready": ["/nowhere/ask"]}, "/nowhere/ask cannot be started: No such file or directory"),
    ],
)
def test_it_does_not_come_up_and_the_suite_is_not_begun(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    done, said = run_plan(tmp_path, suite=python("print('tested')"), **changes)
    assert (done.returncode, done.stdout, said) == (UNAVAILABLE, "", reason)


def test_it_ends_before_the_suite(tmp_path: Path) -> None:
    began = time.monotonic()
    done, reason = run_plan(tmp_path, after="time.sleep(1); sys.exit('ended')", suite=["sleep", "50"])
    assert (done.returncode, reason) == (UNAVAILABLE, "exited with status 1 while the suite ran: ended")
    assert time.monotonic() - began < 40


def test_it_ends_just_before_the_suite_fails(tmp_path: Path) -> None:
    """What a suite says of tests whose server was gone is not to be believed."""
    up = str(tmp_path / "up")
    code = (
        f"import pathlib, time\nwhile pathlib.Path({up!r}).exists(): time.sleep(0.001)\nraise SystemExit(1)"
    )
    after = "up = pathlib.Path(sys.argv[1], 'up'); time.sleep(0.5); up.unlink(); sys.exit(7)"
    done, reason = run_plan(
        tmp_path, before="pathlib.Path(sys.argv[1], 'up').touch()", after=after, suite=python(code)
    )
    assert (done.returncode, reason) == (UNAVAILABLE, "exited with status 7 while the suite ran: served")


def test_nothing_of_it_is_left_even_if_it_does_not_listen(tmp_path: Path) -> None:
    after = f"""
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1], "child").write_text(str(child.pid))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], "all").touch()
{SLEEPS}
"""
    wait = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'all')!r}).exists(): time.sleep(0.01)"
    )
    done, reason = run_plan(tmp_path, after=after, suite=python(wait))
    assert (done.returncode, reason) == (0, "")
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_suite_that_cannot_be_started(tmp_path: Path) -> None:
    done, reason = run_plan(tmp_path, suite=["/nowhere/suite"])
    assert (done.returncode, reason) == (127, "")
    assert "the test command cannot be started: /nowhere/suite" in done.stderr


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


LISTENS = """
import pathlib, socket, sys
server = socket.create_server(("127.0.0.1", 8099))
pathlib.Path(sys.argv[1], "log").write_text("up")
while True:
    server.accept()[0].sendall(b"served")
"""
ASKS = "import socket; socket.create_connection(('127.0.0.1', 8099))"
TESTS = """
import socket, unittest
class T(unittest.TestCase):
    def test_served(self):
        with socket.create_connection(("127.0.0.1", 8099)) as connection:
            self.assertEqual(connection.recv(100), b"served")
"""


def run_with(bench: Bench, start: str, tests: str = TESTS, **changes: Any) -> tuple[RunResult, Path]:
    write_project(bench.source, "tiny", tests=tests)
    service = {
        "install": [
            ["{python}", "-c", f"import pathlib; pathlib.Path('{{service}}/server.py').write_text({start!r})"]
        ],
        "start": ["{python}", "{service}/server.py", "{service}"],
        "ready": ["{python}", "-c", ASKS],
        "seconds": 20,
        **changes,
    }
    return bench.run(service=Service.model_validate(service))


def test_a_run_with_a_service(bench: Bench) -> None:
    result, folder = run_with(bench, LISTENS)
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result.detail
    assert [phase.name for phase in result.phases][-2:] == ["install service", "suite"]
    assert json.loads((folder / "report").read_text().splitlines()[-1])["collected"] == 1


def test_a_run_whose_service_ends_has_no_report(bench: Bench) -> None:
    server = LISTENS.replace("while True:", "for _ in range(2):") + "raise SystemExit('full')\n"
    result, folder = run_with(bench, server, tests=TESTS + "        import time; time.sleep(30)\n")
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert result.detail == "the service that the suite needs exited with status 1 while the suite ran: full"
    assert not result.report_present
    assert not (folder / "report").exists()


def test_a_step_of_the_service_that_fails(bench: Bench) -> None:
    result, _ = run_with(bench, LISTENS, install=[["{python}", "-c", "raise SystemExit('no such server')"]])
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert "the service's step" in result.detail
    assert "no such server" in result.detail
    assert [phase.name for phase in result.phases][-1] == "install service"


def test_a_reason_that_the_project_forged_is_read_with_care(bench: Bench, tmp_path: Path) -> None:
    """It can only claim what its own run says; a link to a file of ours is not followed."""
    secret = tmp_path / "secret"
    secret.write_text("password")
    forged = f"        import os; os.symlink({str(secret)!r}, '../work/service-failure')\n"
    result, folder = run_with(bench, LISTENS, tests=TESTS + forged)
    assert (folder / "work" / "service-failure").is_symlink()
    assert (result.ending, result.detail) == (Ending.EXITED, "")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"start": ["{python}", "{report}"]}, "the service has the unknown placeholder {report}"),
        ({"ready": ["{uv}"]}, "the service has the unknown placeholder {uv}"),
        ({"install": [["{deselect}"]]}, "a step of the service has the unknown placeholder {deselect}"),
    ],
)
def test_placeholders(changes: dict[str, Any], problem: str) -> None:
    service = {"install": [["{uv}", "{service}"]], "start": ["{service}"], "ready": ["{source}"], **changes}
    found = problems(
        install=[], command=["{report}"], environment={}, report="junit", deselected=[],  # type: ignore[arg-type]
        service=Service.model_validate(service),
    )  # fmt: skip
    assert bool(found) == bool(problem)
    assert problem in "".join(found)


FAKE = """#!{python}
import json, os, sys
with open({log!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
for argument in sys.argv[1:]:
    if argument.startswith("--pgdata="):
        os.mkdir(argument.partition("=")[2])
    if argument == "--single":
        with open({log!r}, "a") as file:
            file.write(json.dumps(["stdin", sys.stdin.read()]) + "\\n")
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with programs that write down how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("initdb", "postgres", "pg_isready"):
        path = folder / name
        path.write_text(FAKE.format(python=sys.executable, log=str(tmp_path / "log")))
        path.chmod(0o755)
    return folder


def postgresql(programs: Path, *options: str) -> list[list[str]]:
    """Run `pybots_postgresql`; returns the calls of PostgreSQL's programs."""
    command = [sys.executable, str(UNDER_TEST / "pybots_postgresql.py"), f"--programs={programs}", *options]
    environment = {**os.environ, "TMPDIR": str(programs.parent)}
    subprocess.run(command, check=True, timeout=60, env=environment)
    return [json.loads(line) for line in (programs.parent / "log").read_text().splitlines()]


def test_postgresql_is_made_set_and_started(programs: Path) -> None:
    calls = postgresql(
        programs, "--port=7000", "--password=pw", "--set=a=it's", "--hba=host x", "--sql=create extension e"
    )
    assert [call[0] for call in calls] == ["initdb", "postgres", "stdin", "postgres"]
    assert calls[2] == ["stdin", "create extension e"]
    data = Path(calls[-1][2])
    assert data.parent.parent == programs.parent
    settings = (data / "postgresql.conf").read_text()
    assert "port = '7000'\n" in settings
    assert "a = 'it''s'\n" in settings
    assert "listen_addresses = '127.0.0.1'\n" in settings
    assert (data / "pg_hba.conf").read_text() == "host x\n"
    assert (data.parent / "password").read_text() == "pw\n"


def test_postgresql_is_asked(programs: Path) -> None:
    (call,) = postgresql(programs, "--port=7000", "--is-ready")
    assert call == ["pg_isready", "--host=127.0.0.1", "--port=7000", "--timeout=5"]
