"""What a sandbox shows, which limit was met, and what is said of a machine that has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pybots_worker.contract import Limits
from pybots_worker.sandbox.groups import PREFIX, make_room, open_group
from pybots_worker.sandbox.limits import Usage, amount, limit_met
from pybots_worker.sandbox.machine import shown_folders
from pybots_worker.sandbox.owner import allows_without_sandbox, keep
from pybots_worker.sandbox.policy import Sandbox, System, arguments, made_up_files
from pybots_worker.sandbox.words import lack_of, left_running, refusal

RUN = Path("/w/run")
SYSTEM = System(
    folders=(Path("/usr"),),
    links=(("usr/bin", Path("/bin")),),
    etc=(Path("/etc/services"), Path("/etc/resolv.conf")),
    hosts="10.0.0.1 internal\n",
)
SANDBOX = Sandbox(
    writable=(RUN / "source",),
    readable=(Path("/w/cache/py"),),
    temporary=Path("/tmp/pb-1"),
    made_up=RUN / "ours/etc",
    shared_memory_bytes=5_000_000,
)


def binds(sandbox: Sandbox) -> dict[str, tuple[str, str]]:
    """Where -> (how, what), in the order in which bubblewrap does it."""
    built = arguments(sandbox, SYSTEM, python=[Path("/opt/py")], init=Path("/w/init.py"))
    return {
        built[place + 2]: (word.removeprefix("--"), built[place + 1])
        for place, word in enumerate(built)
        if word in {"--bind", "--ro-bind", "--dev-bind"}
    }


def test_only_the_runs_own_folders_can_be_written() -> None:
    writable = {where: what for where, (how, what) in binds(SANDBOX).items() if how == "bind"}
    assert writable == {"/w/run/source": "/w/run/source", "/tmp": "/tmp/pb-1", "/var/tmp": "/tmp/pb-1"}


def test_everything_else_that_is_shown_is_named() -> None:
    shown = {where for where, (how, _) in binds(SANDBOX).items() if how == "ro-bind"}
    assert shown == {
        *("/usr", "/opt/py", "/w/cache/py", "/.pybots-init.py", "/etc/services"),
        *("/etc/passwd", "/etc/group", "/etc/hostname", "/etc/hosts"),
    }


def test_network_brings_names_and_nothing_else() -> None:
    with_network = replace(SANDBOX, network=True)
    assert binds(with_network).keys() - binds(SANDBOX).keys() == {"/etc/resolv.conf"}
    assert binds(with_network)["/etc/hosts"][1].endswith("hosts-with-network")
    without, given = (
        set(arguments(sandbox, SYSTEM, python=[], init=Path("/i"))) for sandbox in (SANDBOX, with_network)
    )
    assert "--unshare-net" in without
    assert "--unshare-net" not in given
    assert {"--unshare-pid", "--unshare-user", "--unshare-ipc", "--unshare-uts", "--new-session"} <= given


def test_what_bubblewrap_makes_in_memory_is_read_only_at_the_end() -> None:
    below = replace(SANDBOX, writable=(Path("/tmp/a/b/source"),))
    built = arguments(below, SYSTEM, python=[], init=Path("/i"))
    sealed = [built[place + 1] for place, word in enumerate(built) if word == "--remount-ro"]
    assert sealed == ["/dev", "/tmp/a", "/"]
    assert built.index("/tmp/a") < built.index("/tmp/a/b/source")


def test_outer_folders_are_shown_before_inner_ones() -> None:
    nested = replace(SANDBOX, readable=(Path("/w/cache"),), writable=(Path("/w/cache/building"),))
    order = [where for where in binds(nested) if where.startswith("/w/cache")]
    assert order == ["/w/cache", "/w/cache/building"]


def test_made_up_files_name_no_real_account() -> None:
    files = made_up_files(SYSTEM, RUN / "home")
    assert files["passwd"].splitlines()[1] == "pybots:x:1000:1000:pybots:/w/run/home:/bin/sh"
    assert "internal" not in files["hosts"]
    assert "internal" in files["hosts-with-network"]
    assert all("127.0.0.1 pybots" in files[name] for name in ("hosts", "hosts-with-network"))


def test_whole_homes_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("bin", "lib", ".ssh"):
        (tmp_path / name).mkdir()
    prefix = tmp_path / "versions" / "3.13"
    prefix.mkdir(parents=True)
    assert shown_folders([tmp_path]) == [tmp_path / "bin", tmp_path / "lib"]
    assert shown_folders([prefix, prefix / "lib", Path("/usr")]) == [prefix]


LIMITS = Limits(memory_bytes=100, disk_bytes=100, processes=10, open_files=10, output_bytes=100)


@pytest.mark.parametrize(
    ("usage", "kind"),
    [
        (Usage(), None),
        (Usage(memory_bytes=100, disk_bytes=100, processes=10, printed_bytes=100), None),
        (Usage(memory_bytes=101), "memory-limit"),
        (Usage(memory_refused=True), "memory-limit"),
        (Usage(disk_bytes=101), "disk-limit"),
        (Usage(disk_hidden=True), None),
        (Usage(disk_gone_bytes=101), None),
        (Usage(disk_hidden=True, disk_gone_bytes=100), None),
        (Usage(disk_hidden=True, disk_gone_bytes=101), "disk-limit"),
        (Usage(printed_bytes=101), "output-limit"),
        (Usage(processes=11), "process-limit"),
        (Usage(processes=11, processes_bounded=True), None),
        (Usage(processes_refused=True, processes_bounded=True), None),
    ],
)
def test_limit_for_which_a_program_is_stopped(usage: Usage, kind: str | None) -> None:
    met = limit_met(LIMITS, usage)
    assert (met.kind if met else None) == kind


def test_limits_that_stop_nothing_are_named() -> None:
    assert Usage(processes=9, most_open_files=9).notes(LIMITS) == []
    assert Usage(processes_refused=True, most_open_files=10).notes(LIMITS) == [
        "it met the limit of 10 processes",
        "it met the limit of 10 open files",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(4_000_000_000, "4 GB"), (150_000_000, "150 MB"), (2500, "2.5 kB"), (12, "12 bytes")]
)
def test_amounts(number: int, text: str) -> None:
    assert amount(number) == text


def test_left_running() -> None:
    assert left_running([], 0) == ""
    assert left_running(["sleep"], 1) == "it left 1 process running: sleep"
    assert left_running(["python", "python", "sleep"], 5) == (
        "it left 5 processes running: python (2 times), sleep and 2 more"
    )


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("bwrap: setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns=0"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "apparmor_restrict"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths=unconfined"),
        ("bwrap: No permissions to creating new namespace, likely because", "unprivileged_userns_clone=1"),
    ],
)
def test_each_lack_has_one_command_that_mends_it(said: str, mend: str) -> None:
    lack = lack_of(said)
    assert mend in lack.mend
    assert lack.mend in refusal(lack)


def test_old_bubblewrap_is_to_be_replaced() -> None:
    assert lack_of("it has no --disable-userns").reason.startswith("bubblewrap is older than 0.8")
    assert "install bubblewrap" in refusal(lack_of("", missing=True))


def groups_v2(root: Path, enabled: str) -> Path:
    """A machine with the second version of control groups, whose service manager gave us one."""
    unit = root / "unit"
    unit.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("memory pids\n")
    (unit / "cgroup.subtree_control").write_text(enabled)
    own = root.parent / "own"
    own.write_text("0::/unit\n")
    return own


def test_second_version_of_control_groups(tmp_path: Path) -> None:
    own = groups_v2(tmp_path / "root", "memory pids\n")
    group = open_group(1000, 20, tmp_path / "root", own)
    assert group is not None
    (made,) = (tmp_path / "root/unit").glob(f"{PREFIX}*")
    assert {path.name: path.read_text() for path in made.iterdir()} == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "pids.max": "20",
    }
    assert group.entrances == [str(made / "cgroup.procs")]
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n")
    (made / "pids.events").write_text("max 3\n")
    reading = group.reading()
    assert (reading.memory_kills, reading.memory_refusals, reading.fork_refusals) == (1, 2, 3)


def test_what_is_not_given_to_us_is_not_used(tmp_path: Path) -> None:
    own = groups_v2(tmp_path / "root", "cpu\n")
    assert open_group(1000, 20, tmp_path / "root", own) is None
    assert open_group(1000, 20, tmp_path / "nothing", tmp_path / "nowhere") is None


def test_worker_moves_into_a_leaf_of_its_own(tmp_path: Path) -> None:
    own = groups_v2(tmp_path / "root", "")
    make_room(tmp_path / "root", own)
    assert (tmp_path / "root/unit/pybots-worker/cgroup.procs").read_text() == "0"
    assert (tmp_path / "root/unit/cgroup.subtree_control").read_text() == "+memory +pids"


def test_owners_word_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYBOTS_OWNER_FILE", raising=False)
    assert not keep(tmp_path, without_sandbox=None)
    assert keep(tmp_path, without_sandbox=True)
    assert keep(tmp_path, without_sandbox=None)
    assert not allows_without_sandbox()
    monkeypatch.setenv("PYBOTS_OWNER_FILE", str(tmp_path / "owner.json"))
    assert allows_without_sandbox()
    keep(tmp_path, without_sandbox=False)
    assert not allows_without_sandbox()
    (tmp_path / "owner.json").write_text("[")
    assert not allows_without_sandbox()
