"""Decides what a sandbox is: what it shows of this machine, as bubblewrap's arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HOST_NAME = "pybots"
USER = "pybots"
NULL = "null"
"""The name of our own null device, beside the made-up files."""
USER_ID = 1000
"""The same on every machine, whoever the worker runs as: a suite behaves differently for root."""
SHARED_MEMORY_SHARE = 2
"""What lies in shared memory is at most this part of the memory limit: one half."""
INIT = Path("/.pybots-init.py")
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (the sandbox's own)

NEEDED_OPTIONS = ("--disable-userns", "--size", "--perms", "--as-pid-1", "--remount-ro")
"""bubblewrap has all of them since 0.8."""

SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "lsb-release", "mime.types",
    "nsswitch.conf", "os-release", "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "protocols",
    "services", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
"""Of /etc, what programs need to run; private keys, accounts and what the machine is called are not there."""
ETC_WITH_NETWORK = ("resolv.conf", "gai.conf")


@dataclass(frozen=True, slots=True)
class System:
    """The parts of this machine's system that every sandbox shows, read-only."""

    folders: tuple[Path, ...]
    """Real folders among /usr, /bin, /lib, ..."""
    links: tuple[tuple[str, Path], ...]
    """Links among them: (target, link)."""
    etc: tuple[Path, ...]
    """What there is of `ETC` and `ETC_WITH_NETWORK`, as /etc/NAME; a link among them is shown as what it points to."""
    hosts: str = ""
    """The machine's own /etc/hosts."""
    own_null: bool = False
    """Whether an ordinary account cannot write to this machine's /dev/null, so that a sandbox gets one of ours."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What one program may see and do. All paths but the temporary folder's are the same inside and outside."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    temporary: Path
    """Seen as /tmp and /var/tmp."""
    made_up: Path
    """A folder with the files of `made_up_files`."""
    shared_memory_bytes: int
    network: bool = False


def made_up_files(system: System, home: Path) -> dict[str, str]:
    """Return the files of /etc that are the same in every sandbox, by name."""
    own = f"127.0.0.1 {HOST_NAME}\n"
    return {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{USER_ID}:{USER_ID}:{USER}:{home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        "group": f"root:x:0:\n{USER}:x:{USER_ID}:\nnogroup:x:65534:\n",
        "hostname": f"{HOST_NAME}\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n" + own,
        "hosts-with-network": system.hosts.rstrip("\n") + "\n" + own,
    }


def arguments(sandbox: Sandbox, system: System, *, python: Iterable[Path], init: Path) -> list[str]:
    """Return bubblewrap's arguments, up to the command. *python* is what the worker's own Python consists of."""
    shared = max(sandbox.shared_memory_bytes, 1 << 20)
    places, made = _places(sandbox, [*python])
    return [
        *_apart(network=sandbox.network),
        *_system(system),
        *_etc(sandbox, system),
        *("--proc", "/proc", "--dev", "/dev"),
        *(("--dev-bind", str(sandbox.made_up / NULL), "/dev/null") if system.own_null else ()),
        *("--perms", "1777", "--size", str(shared), "--tmpfs", "/dev/shm"),  # noqa: S108
        *places,
        *("--ro-bind", str(init), str(INIT)),
        # What bubblewrap made are file systems in memory, and would be writable.
        *(part for path in ("/dev", *made, "/") for part in ("--remount-ro", str(path))),
        *("--chdir", "/"),
    ]


def _apart(*, network: bool) -> list[str]:
    own = ["user", "pid", "ipc", "uts", "cgroup-try", *([] if network else ["net"])]
    return [
        *(f"--unshare-{name}" for name in own),
        "--disable-userns",
        *("--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", HOST_NAME),
        *("--new-session", "--die-with-parent", "--as-pid-1"),
    ]


def _system(system: System) -> list[str]:
    found: list[str] = []
    for folder in system.folders:
        found += ["--ro-bind", str(folder), str(folder)]
    for target, link in system.links:
        found += ["--symlink", target, str(link)]
    for empty in ("/run", "/var", "/root", "/mnt"):
        found += ["--dir", empty]
    return found


def _etc(sandbox: Sandbox, system: System) -> list[str]:
    hidden = () if sandbox.network else ETC_WITH_NETWORK
    found: list[str] = []
    for path in system.etc:
        if path.name not in hidden:
            found += ["--ro-bind", str(path), str(path)]
    for name in ("passwd", "group", "hostname", "hosts"):
        source = "hosts-with-network" if name == "hosts" and sandbox.network else name
        found += ["--ro-bind", str(sandbox.made_up / source), f"/etc/{name}"]
    return found


def _places(sandbox: Sandbox, python: list[Path]) -> tuple[list[str], list[Path]]:
    """The folders to show, the outer ones first: what is bound later lies on top; and folders made for others to be in.

    Those are made where something shown lies below the machine's own /tmp: in the run's they would be writable.
    """
    shown = dict.fromkeys((*python, *sandbox.readable), "--ro-bind")
    shown |= dict.fromkeys(sandbox.writable, "--bind")
    found: list[str] = []
    made: dict[Path, None] = {}
    for path in TEMPORARY:
        found += ["--bind", str(sandbox.temporary), str(path)]
        below = [path / each.relative_to(path).parts[0] for each in shown if path in each.parents]
        made |= dict.fromkeys(each for each in below if each not in shown)
    for path in made:
        found += ["--tmpfs", str(path)]
    for path, how in sorted(shown.items(), key=lambda entry: (len(entry[0].parts), entry[0])):
        found += [how, str(path), str(path)]
    return found, [*made]
