"""A replay that is stopped in the middle ends everything that it started, and writes what it found by then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from stories import read_stories

pytestmark = [pytest.mark.minifarm, pytest.mark.timeout(600)]


def processes(folder: Path) -> list[str]:
    """Whatever runs and has to do with *folder*."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), process.cwd()])
        except (psutil.Error, OSError):
            continue
        if str(folder) in words and process.pid != os.getpid():
            found.append(words)
    return found


def wait(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    [story] = [story for story in read_stories() if story.name == "09-own-change"]
    commits = story.lay_out(tmp_path)
    log, out, farm = tmp_path / "log", tmp_path / "out.json", tmp_path / "farm"
    program = [str(Path(sys.executable).parent / "pybots"), "replay", str(tmp_path / "replay.toml")]
    with log.open("wb") as output:
        replay = subprocess.Popen(
            [*program, "--dir", str(farm), "--json", str(out)], stdout=output, stderr=output
        )
    try:
        wait(lambda: "interpreters are made" in log.read_text(), "no interpreter was made")
        replay.send_signal(signal.SIGINT)
        assert replay.wait(90) == 128 + signal.SIGINT, log.read_text()
    finally:
        replay.kill()
        replay.wait()
    wait(lambda: not processes(tmp_path), "something outlived the replay", 60)
    assert "stopping the farm" in log.read_text()
    assert [head["commit"] for head in json.loads(out.read_text())["heads"]] == [commits[0], commits[10]]
    shown = subprocess.run(
        [program[0], "show", str(farm), "commits"], capture_output=True, timeout=60, check=True
    )
    assert commits[0][:8].encode() in shown.stdout
