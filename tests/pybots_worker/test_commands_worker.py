"""The command `pybots-worker`, as the master and a volunteer call it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from pybots_worker import buildbot_worker, doctor
from pybots_worker.commands import main
from pybots_worker.contract import RunResult
from pybots_worker.processes import TOKEN_VARIABLE, StoppedError
from pybots_worker.runs.scratch import make_scratch, remove_scratch
from tiny_projects import PASSES, Bench, write_project

COMMAND = str(Path(sys.executable).parent / "pybots-worker")


def wait_until(what: str, seconds: float, happened: object) -> None:
    deadline = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def prepared(bench: Bench, tests: str = PASSES) -> Path:
    write_project(bench.source, "tiny", tests=tests)
    folder = bench.folder / "job"
    folder.mkdir()
    (folder / "specification.json").write_text(bench.specification().model_dump_json())
    return folder


def test_run_starts_in_a_clean_folder_and_writes_a_result(tmp_path: Path) -> None:
    """Relative paths, as Buildbot gives them; an earlier run left read-only folders and a link."""
    folder = prepared(Bench(tmp_path))
    (folder / "source" / "old").mkdir(parents=True)
    (folder / "source" / "old" / "file").write_text("")
    (folder / "source" / "old").chmod(0o500)
    (folder / "result.json").write_text("the earlier one")
    (folder / "report").symlink_to("/etc/passwd")
    done = subprocess.run(
        [COMMAND, "run", ".", "--cache", "../cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = RunResult.model_validate_json((folder / "result.json").read_text())
    assert result.exit_status == 0
    assert not (folder / "source" / "old").exists()
    assert not (folder / "report").is_symlink()
    assert "\n=== suite\n" in done.stdout
    assert (tmp_path / "cache").is_dir()


def test_what_a_killed_run_left_in_the_systems_temporary_folder_is_removed(tmp_path: Path) -> None:
    """And nothing else, wherever the project let the link point to."""
    folder = prepared(Bench(tmp_path))
    scratch = make_scratch(folder)
    (scratch / "closed").mkdir(mode=0o500)
    result = CliRunner().invoke(main, ["run", str(folder), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 0
    assert not scratch.exists()
    assert not (folder / "tmp").readlink().exists()
    elsewhere = tmp_path / "pb-elsewhere"
    elsewhere.mkdir()
    (folder / "tmp").unlink()
    (folder / "tmp").symlink_to(elsewhere)
    remove_scratch(folder)
    assert elsewhere.exists()


def test_run_whose_worker_died_writes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(Bench(tmp_path))
    asked = []

    def gone() -> None:
        asked.append(1)
        raise StoppedError("the process that started us is gone")

    monkeypatch.setattr("pybots_worker.runs.carry_out.stop_if_alone", gone)
    result = CliRunner().invoke(main, ["run", str(folder), "--cache", str(tmp_path / "cache")])
    assert (result.exit_code, asked) == (143, [1])
    assert not (folder / "result.json").exists()


def test_run_that_is_told_to_stop_leaves_nothing(tmp_path: Path) -> None:
    """It is recorded while it works, and has what the master must not see."""
    active, kept = tmp_path / "active", tmp_path / "kept.json"
    active.mkdir()
    kept.write_text('{"CC": "kept-back"}')
    tests = "import os, time, pathlib\nassert os.environ['CC'] == 'kept-back'\n"
    tests += "pathlib.Path(os.environ['HOME'], 'runs').touch()\ntime.sleep(600)\n"
    folder = prepared(Bench(tmp_path), tests)
    own = {"PYBOTS_ACTIVE_FOLDER": str(active), "PYBOTS_ENVIRONMENT_FILE": str(kept)}
    running = subprocess.Popen(
        [COMMAND, "run", str(folder), "--cache", str(tmp_path / "cache")],
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until("the suite runs", 60, (folder / "home" / "runs").exists)
    started = psutil.Process(running.pid).children(recursive=True)
    assert (active / f"owner-{running.pid}.json").exists()
    scratch = (folder / "tmp").readlink()
    assert scratch.is_dir()
    running.terminate()
    assert b"stopped: told to stop" in running.communicate(timeout=30)[1]
    assert running.returncode == 143
    assert not list(active.iterdir())
    assert not scratch.exists()
    assert len(started) >= 4
    assert not any(process.is_running() for process in started)
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize("verb", ["run", "build"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "the master writes it before"),
        ("{", "Invalid JSON"),
        ('{"key": "k", "surprise": 1}', "surprise"),
    ],
)
def test_bad_specification(tmp_path: Path, verb: str, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "specification.json").write_text(text)
    (tmp_path / "kept").write_text("")
    result = CliRunner().invoke(main, [verb, str(tmp_path), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 2
    assert problem in result.output or "Field required" in result.output
    assert (tmp_path / "kept").exists()


@pytest.mark.parametrize("address", ["nowhere", "host:", ":1", "host:0", "host:99999", "host:x"])
def test_bad_address(tmp_path: Path, address: str) -> None:
    result = CliRunner().invoke(main, ["doctor", "--master", address])
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.output


@pytest.mark.parametrize("verb", [[], ["run"], ["build"], ["start"], ["doctor"]])
def test_help_teaches(verb: list[str]) -> None:
    result = CliRunner().invoke(main, [*verb, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 8


class Started:
    """`pybots-worker start` towards a socket of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = socket.create_server(("127.0.0.1", 0))
        self.master.settimeout(30)
        password = folder.parent / "password"
        password.write_text("secret\n")
        address = f"127.0.0.1:{self.master.getsockname()[1]}"
        self.command = [COMMAND, "start", str(folder), "--master", address]
        self.command += ["--name", "w-1", "--password-file", str(password)]

    def __enter__(self) -> Started:
        environment = {"PATH": os.defpath, "HOME": str(self.folder.parent)}
        self.process = subprocess.Popen(
            self.command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.master.close()


def test_start_connects_and_owns_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    (folder / "active").mkdir(parents=True)
    (folder / "active" / "left.json").write_text('{"keeper": 1, "token": "left"}')
    left = subprocess.Popen(["sleep", "600"], env={TOKEN_VARIABLE: "left", "PATH": os.defpath})
    with Started(folder) as started:
        connection, _ = started.master.accept()
        connection.close()
        assert left.wait(10) == -signal.SIGKILL
        environment = psutil.Process(started.process.pid).environ()
        assert environment["HOME"] == str(tmp_path)
        again = subprocess.run(started.command, capture_output=True, text=True, timeout=30, check=False)
        assert again.returncode == 1
        assert "another worker runs in" in again.stderr
        # When the master went away, it is tried again soon.
        started.master.accept()[0].close()
        started.process.send_signal(signal.SIGTERM)
        output = started.process.communicate(timeout=30)[0]
    assert "ended 1 processes that an earlier worker left running" in output
    assert "as w-1; the log is" in output
    tac = (folder / "buildbot.tac").read_text()
    assert "secret" not in tac
    assert str(tmp_path / "password") in tac


def test_what_the_master_runs_is_found_beside_our_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ["PATH"] = "/usr/bin"
    os.environ["AWS_SECRET_ACCESS_KEY"] = "secret"
    os.environ["PIP_INDEX_URL"] = "https://name:secret@index.example/simple"
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr("twisted.scripts.twistd.run", lambda: None)
    buildbot_worker.run(tmp_path)
    assert os.environ["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"
    assert os.environ["PYBOTS_ACTIVE_FOLDER"] == str(tmp_path / "active")
    # What is here now is what buildbot-worker tells the master.
    assert "secret" not in str(dict(os.environ))
    kept = tmp_path / "environment.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    buildbot_worker.take_back_environment()
    assert os.environ["PIP_INDEX_URL"] == "https://name:secret@index.example/simple"
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    assert "PYBOTS_ENVIRONMENT_FILE" not in os.environ


def test_doctor_of_a_good_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES", 1)
    monkeypatch.setattr(doctor, "TEMPORARY_BYTES", 1)
    with socket.create_server(("127.0.0.1", 0)) as master:
        address = f"127.0.0.1:{master.getsockname()[1]}"
        result = CliRunner().invoke(
            main, ["doctor", "--master", address, "--dir", str(tmp_path / "new"), "--json"]
        )
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert set(checks) == {
        "compiler",
        "make",
        "git",
        "ccache",
        "sandbox",
        "limits",
        "uv",
        "disk",
        "tmp",
        "clock",
        "master",
    }
    assert all(check["good"] for check in checks.values() if check["needed"]), checks
    assert result.exit_code == 0


def test_doctor_of_a_machine_that_lacks_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "FREE_BYTES", 1 << 60)
    monkeypatch.setattr(doctor, "TEMPORARY_BYTES", 1 << 60)
    result = CliRunner().invoke(main, ["doctor", "--master", "127.0.0.1:9", "--dir", str(tmp_path)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    for name in ("compiler", "make", "git", "disk", "tmp", "master"):
        number = next(n for n, line in enumerate(lines) if line.startswith(f"missing  {name}: "))
        assert lines[number + 1].strip().startswith("mend it with: ")
    assert any(line.startswith("advice   ccache: ") for line in lines)
