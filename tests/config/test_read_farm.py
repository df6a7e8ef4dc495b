from __future__ import annotations

import os
from pathlib import Path

import pytest

from pybots.config.problems import ConfigurationError
from pybots.config.read import LARGEST, read_farm

FARM = """\
[trunk]
git = "../cpython"

[database]
results = "sqlite:///results.sqlite"

[[worker]]
name = "alpha"
platform = "linux-x86_64-glibc"
interpreters = true
password_file = "secrets/alpha"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "farm.toml").write_text(FARM)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "alpha").write_text("secret\n")
    (tmp_path / "secrets" / "alpha").chmod(0o600)
    return tmp_path


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read_farm(folder)
    return [str(problem) for problem in raised.value.problems]


def change(folder: Path, old: str, new: str) -> None:
    assert old in FARM
    (folder / "farm.toml").write_text(FARM.replace(old, new))


def test_a_good_one_is_read(folder: Path) -> None:
    farm = read_farm(folder)
    assert farm.trunk.branches == ["main"]
    assert farm.worker[0].password_file == "secrets/alpha"


def test_every_problem_is_named_at_once(folder: Path) -> None:
    change(folder, "[database]", "[site]\nport = 9989\n[packages]\noffline = true\n[database]")
    (folder / "secrets" / "alpha").unlink()
    assert problems(folder) == [
        "farm.toml:5: master.workers_port and site.port are both 9989; give each a port of its own",
        "farm.toml:7: offline needs a folder of distributions; add folder = ... to [packages]",
        f"farm.toml:15: password file of 'alpha': {folder}/secrets/alpha: No such file or directory; "
        "write the worker's password into that file",
    ]


@pytest.mark.parametrize(("mode", "said"), [(0o604, "open to everyone"), (0o602, "open to everyone")])
def test_a_password_that_everyone_can_touch_is_refused(folder: Path, mode: int, said: str) -> None:
    (folder / "secrets" / "alpha").chmod(mode)
    (problem,) = problems(folder)
    assert said in problem


@pytest.mark.parametrize(("content", "said"), [(" \n", "is empty"), ("x" * 2000, "larger than")])
def test_a_password_file_holds_a_password(folder: Path, content: str, said: str) -> None:
    (folder / "secrets" / "alpha").write_text(content)
    (problem,) = problems(folder)
    assert said in problem


def test_a_password_file_is_a_file(folder: Path) -> None:
    change(folder, "secrets/alpha", "secrets")
    assert "Is a directory" in problems(folder)[0]
    change(folder, "secrets/alpha", "a\\u0000b")
    assert "null" in problems(folder)[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "sqlite:///results.sqlite",
            "postgresql+psycopg2://me:hush@db/x",
            "farm.toml:5: `results` in [database] holds",
        ),
        (
            "../cpython",
            "https://me:hush@example.org/cpython.git",
            "farm.toml:2: `git` in [trunk] holds a password",
        ),
        ("sqlite:///results.sqlite", "results.sqlite", "is not an address of a database"),
        ("sqlite:///results.sqlite", "sqlite:///master/state.sqlite", "are in one database"),
        ("[database]", '[packages]\nfolder = "wheels"\n[database]', "wheels is not a folder"),
    ],
)
def test_addresses_are_checked_and_hold_nothing_secret(folder: Path, old: str, new: str, said: str) -> None:
    change(folder, old, new)
    (problem,) = problems(folder)
    assert said in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\nb = \xff\n", "farm.toml:2: this is not UTF-8; save the file as UTF-8"),
        (b"a = 1\nb =\n", "farm.toml:2: Invalid value, at column 4; this is not TOML"),
        (b"#" * (LARGEST + 1), f"farm.toml: it is larger than {LARGEST} bytes"),
        (b"a = " + b"[" * 20_000, "farm.toml"),
        (b"\n" + b"a." * 200_000 + b"a = 1", "farm.toml:2: a key has 100 parts or more"),
        (b"\"a b\" . 'c'. " * 50 + b"a = 1", "farm.toml:1: a key has 100 parts or more"),
        (b"a = " + b"1" * 5_000, "farm.toml: Exceeds the limit"),
        (b"[site]\nport = 0x" + b"f" * 50_000, "farm.toml: there is no [trunk]"),
        (b"", "farm.toml: there is no [trunk] table; add one; it needs `git`"),
    ],
)
def test_whatever_is_in_the_file_is_a_problem_with_a_place(folder: Path, content: bytes, said: str) -> None:
    (folder / "farm.toml").write_bytes(content)
    assert problems(folder)[0].startswith(said)


def test_no_file(folder: Path) -> None:
    (folder / "farm.toml").unlink()
    assert problems(folder) == ["farm.toml: No such file or directory"]


def test_a_number_that_cannot_be_written_out(folder: Path) -> None:
    change(folder, "[database]", "[site]\nport = 0x" + "f" * 50_000 + "\n[database]")
    (problem,) = problems(folder)
    assert problem.startswith("farm.toml:5: `port` in [site] is a very large number")
    assert len(problem) < 300


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["a", '"', "'", "a ", ".", "a.\n", '"a', "-a .a"])
def test_no_text_of_the_largest_size_takes_long(folder: Path, text: str) -> None:
    (folder / "farm.toml").write_text((text * LARGEST)[:LARGEST])
    assert problems(folder)


@pytest.mark.timeout(20)
def test_a_named_pipe_does_not_hang(folder: Path) -> None:
    (folder / "farm.toml").unlink()
    os.mkfifo(folder / "farm.toml")
    assert problems(folder) == ["farm.toml: it is not a regular file"]
