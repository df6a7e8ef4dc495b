"""`pybots site` as a real process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from click.testing import CliRunner

from pybots.commands.site import site
from pybots.site.read_folder import read_folder

FARM = """
[farm]
name = "Testbots"
[trunk]
git = "https://example.org/cpython.git"
[site]
port = 8123
[database]
results = "sqlite:///data/results.sqlite"
[[worker]]
name = "one"
platform = "linux"
interpreters = true
password_file = "one.password"
"""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    script = "from pybots.commands.site import site; site()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stderr
    try:
        said = ""
        for line in process.stderr:
            said += line
            found = re.search(r"running on (http://\S+)", line)
            if found:
                yield found[1], process
                break
        else:
            raise AssertionError(said)
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def test_it_serves_a_folder_in_which_nothing_was_started(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _process):
        page = httpx.get(address, timeout=20)
        assert page.status_code == 200
        assert "The farm has not started yet." in page.text
        assert "server" not in page.headers


def test_a_folder_says_what_is_served_where(tmp_path: Path) -> None:
    (tmp_path / "farm.toml").write_text(FARM)
    (tmp_path / "one.password").write_text("x" * 40)
    (tmp_path / "one.password").chmod(0o600)
    (tmp_path / "projects").mkdir()
    served = read_folder(tmp_path)
    assert served.problems == ()
    assert (served.name, served.site.port) == ("Testbots", 8123)
    assert served.results == f"sqlite:///{tmp_path}/data/results.sqlite"


def test_a_broken_farm_toml_leaves_defaults(tmp_path: Path) -> None:
    (tmp_path / "farm.toml").write_text("[trunk\n")
    served = read_folder(tmp_path)
    assert served.results == f"sqlite:///{tmp_path}/results.sqlite"
    assert served.site.port == 8080
    assert "farm.toml:1" in served.problems[0]


def test_bad_use_and_help() -> None:
    assert CliRunner().invoke(site, ["/nowhere/at/all"]).exit_code == 2
    assert CliRunner().invoke(site, [".", "--port", "99999"]).exit_code == 2
    assert "pybots site farm" in CliRunner().invoke(site, ["--help"]).output
