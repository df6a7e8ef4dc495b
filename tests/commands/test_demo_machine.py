from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pybots.commands.demonstration import machine
from pybots.commands.demonstration.machine import (
    MachineUnfitError,
    call,
    make_fit,
    missing,
    raise_without_sandbox,
)
from pybots.commands.demonstration.requirements import (
    NEEDS,
    Installer,
    Kind,
    Need,
    explain,
    install_command,
    packages_for,
)
from pybots_worker.sandbox.machine import Grants
from pybots_worker.sandbox.policy import System
from pybots_worker.sandbox.words import Lack

NEEDED = [need for need in NEEDS if not need.wanted]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; empty at first."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_this_machine_has_what_the_tests_need() -> None:
    basics = [need for need in NEEDS if need.name in {"git", "sh"}]
    assert missing(basics) == []


def test_a_header_is_looked_for_with_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Need("here.h", Kind.HEADER, {}, "a test")
    absent = Need("not-here.h", Kind.HEADER, {}, "a test")
    (tmp_path / "here.h").write_text("")
    monkeypatch.setenv("CPATH", str(tmp_path))
    assert missing([there, absent]) == [absent]


def test_an_empty_machine_names_every_package(programs: Path) -> None:
    assert missing() == list(NEEDS)
    with pytest.raises(MachineUnfitError) as caught:
        make_fit(lambda _text: None, install=False)
    assert "Install them with your system's package installer" in str(caught.value)
    for need in NEEDED:
        assert f"{need.name} ({need.what_for})" in str(caught.value)


@pytest.mark.parametrize(
    ("program", "command"),
    [
        (
            "apt-get",
            "apt-get update && sudo apt-get install --yes --no-install-recommends gcc make git pkg-config",
        ),
        ("dnf", "sudo dnf install --assumeyes gcc make git pkgconf glibc-devel openssl-devel sqlite-devel"),
        ("pacman", "sudo pacman --sync --needed --noconfirm gcc make git pkgconf glibc openssl sqlite"),
        ("brew", "  brew install git pkgconf openssl@3 sqlite libffi"),
    ],
)
def test_the_one_command_of_each_system(
    programs: Path, monkeypatch: pytest.MonkeyPatch, program: str, command: str
) -> None:
    add(programs, program, "exit 1")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MachineUnfitError) as caught:
        make_fit(lambda _text: None, install=True)
    assert command in str(caught.value)
    assert ("xcode-select --install" in str(caught.value)) == (program == "brew")


def test_root_needs_no_sudo() -> None:
    assert install_command(["gcc"], Installer.DNF, root=True) == "dnf install --assumeyes gcc"
    assert install_command(["gcc"], Installer.BREW, root=False) == "brew install gcc"


def test_a_package_is_named_once() -> None:
    assert packages_for(NEEDS, Installer.PACMAN).count("gcc") == 1
    assert "glibc" in packages_for(NEEDS, Installer.PACMAN)


@pytest.mark.parametrize("installer", list(Installer))
def test_what_is_explained_fits_in_one_command(installer: Installer) -> None:
    text = explain(NEEDED, installer, root=False)
    assert sum(line.startswith("  ") and installer.value in line for line in text.splitlines()) == 1


def install_with_apt(programs: Path, monkeypatch: pytest.MonkeyPatch, log: Path, script: str) -> None:
    """A machine where apt-get writes down what it was asked, and where root's rights are there."""
    add(programs, "env", 'while [ "${1#*=}" != "$1" ]; do export "$1"; shift; done; exec "$@"')
    add(programs, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {log}\n{script}')
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(machine, "NEEDS", NEEDS)


def test_apt_is_used_without_questions(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    install_with_apt(programs, monkeypatch, log, "")
    need = Need("tool", Kind.PROGRAM, {Installer.APT: "tool-package"}, "a test")
    found = iter([[need], []])
    monkeypatch.setattr(machine, "missing", lambda: next(found))
    assert make_fit(lambda _text: None, install=True) == ["tool-package"]
    update, install = log.read_text().splitlines()
    assert update == "noninteractive -o DPkg::Lock::Timeout=120 update"
    assert install.endswith("install --yes --no-install-recommends tool-package")


def test_an_unknown_package_does_not_stop_the_rest(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    script = 'case "$*" in *unknown*) echo "E: no package unknown"; exit 100;; esac'
    install_with_apt(programs, monkeypatch, log, script)
    good = Need("good", Kind.PROGRAM, {Installer.APT: "good"}, "a test")
    bad = Need("bad", Kind.PROGRAM, {Installer.APT: "unknown"}, "a test")
    found = iter([[good, bad], [bad]])
    monkeypatch.setattr(machine, "missing", lambda: next(found))
    with pytest.raises(MachineUnfitError, match="E: no package unknown") as caught:
        make_fit(lambda _text: None, install=True)
    assert "good (" not in str(caught.value)
    assert log.read_text().splitlines()[2].endswith("install --yes --no-install-recommends good")


def test_what_is_only_wanted_stops_nothing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [need for need in NEEDS if need.wanted]
    monkeypatch.setattr(machine, "missing", lambda: wanted)
    said: list[str] = []
    assert make_fit(said.append, install=False) == []
    assert "going on without ccache (compiling again faster)" in said


@pytest.mark.parametrize("lack", [None, Lack("bubblewrap is missing")])
def test_suites_do_not_run_without_a_sandbox_unless_that_was_said(
    monkeypatch: pytest.MonkeyPatch, lack: Lack | None
) -> None:
    """Said before anything is built: the farm would wait without end for a worker that takes a run."""
    monkeypatch.setattr(machine, "grants", lambda: Grants(None, System((), (), ()), lack))
    raise_without_sandbox(allowed=True)
    if lack is None:
        raise_without_sandbox(allowed=False)
        return
    with pytest.raises(MachineUnfitError, match=r"bubblewrap is missing.*--run-projects-without-a-sandbox"):
        raise_without_sandbox(allowed=False)


def test_nothing_hangs(programs: Path) -> None:
    add(programs, "asks", "exec /bin/sleep 60")
    outcome = call(["asks"], seconds=0.3)
    assert outcome.status is None
    assert "had no end within" in outcome.output
    assert call(["no-such-program"], seconds=1).status is None


def test_a_sudo_that_asks_is_not_used(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add(programs, "sudo", '[ "$1" = -n ] && exit 1; echo used > ' + str(tmp_path / "used"))
    add(programs, "apt-get", f"echo used > {tmp_path / 'used'}")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MachineUnfitError, match="sudo apt-get update && sudo apt-get install"):
        make_fit(lambda _text: None, install=True)
    assert not (tmp_path / "used").exists()
