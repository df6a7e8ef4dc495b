"""Tiny projects that attack the machine they run on, and the one that runs beside them."""

from __future__ import annotations

from miniprojects import HEADER, MiniProject

SMALL = {
    "memory_bytes": 150_000_000,
    "disk_bytes": 150_000_000,
    "processes": 50,
    "open_files": 300,
    "output_bytes": 20_000_000,
}

LOOKS = """
import socket, pathlib

def names(variable): return os.environ[variable].split(":")

class T(unittest.TestCase):
    def test_reads_no_password(self):
        for path in names("PASSWORDS"):
            with self.assertRaises(OSError): open(path).read()
        kept = [v for v in os.environ.values() if "password" in v and "PASSWORDS" not in v]
        self.assertEqual([v for v in kept if v != os.environ["PASSWORDS"]], [])

    def test_sees_no_other_process(self):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        self.assertEqual(len(pids), 2, pids)  # the sandbox's first one, and this
        self.assertLess(max(pids), 50)
        for pid in map(int, names("PIDS")):
            with self.assertRaises(OSError): os.kill(pid, 9)
        os.kill(1, 9)

    def test_writes_neither_interpreter_nor_cache_nor_another_run(self):
        library = os.path.dirname(os.__file__)
        base = os.path.realpath(sys.executable)
        for place in [library, os.path.dirname(base), *names("FOLDERS")]:
            with self.assertRaises(OSError, msg=place): open(os.path.join(place, "planted"), "w")
        for file in (os.__file__, base):
            with self.assertRaises(OSError): open(file, "ab")
            with self.assertRaises(OSError): os.chmod(file, 0o777)
            with self.assertRaises(OSError): os.unlink(file)

    def test_connects_to_nothing(self):
        for port in map(int, names("PORTS")):
            for host in ("127.0.0.1", "localhost", os.uname().nodename):
                with self.assertRaises(OSError): socket.create_connection((host, port), 3)
        with self.assertRaises(OSError): socket.create_connection(("192.0.2.1", 80), 3)

    def test_loses_no_root(self):
        self.assertEqual(os.getuid(), 1000)
        for attempt in (lambda: os.setuid(0), lambda: os.chroot("/"), lambda: os.unshare(os.CLONE_NEWUSER)):
            with self.assertRaises((OSError, AttributeError)): attempt()
"""

FILLS_MEMORY = MiniProject(
    "fills-memory",
    HEADER
    + """
class T(unittest.TestCase):
    def test_before(self): pass
    def test_memory(self):
        kept = []
        while True: kept.append(b"x" * 10_000_000)
""",
    limits=SMALL,
)
FILLS_THE_DISK = MiniProject(
    "fills-the-disk",
    HEADER
    + """
class T(unittest.TestCase):
    def test_before(self): pass
    def test_disk(self):
        number = 0
        while True:
            number += 1
            with open(f"/tmp/{number}", "wb") as file: file.write(b"x" * 10_000_000)
            time.sleep(0.02)
""",
    limits=SMALL,
)
FORKS = MiniProject(
    "forks-without-end",
    HEADER
    + """
class T(unittest.TestCase):
    def test_forks(self):
        children = []
        with self.assertRaises(BlockingIOError):
            while True:
                pid = os.fork()
                if pid == 0: time.sleep(3600)
                children.append(pid)
        self.assertLess(len(children), 60)
""",
    limits=SMALL,
)
PRINTS = MiniProject(
    "prints-gigabytes",
    HEADER
    + """
class T(unittest.TestCase):
    def test_prints(self):
        while True: os.write(1, b"x" * 65536)
""",
    limits=SMALL,
)
LEAVES_A_DAEMON = MiniProject(
    "leaves-a-daemon",
    HEADER
    + """
class T(unittest.TestCase):
    def test_daemon(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 3)
                os.execv("/bin/sleep", ["sleep", "3593"])
            os._exit(0)
        os.wait()
        time.sleep(0.3)
""",
    limits=SMALL,
)


def looks(passwords: str, folders: str, ports: str, pids: str) -> MiniProject:
    """Return a project whose suite passes where every attempt to reach out of the sandbox is refused."""
    environment = {"PASSWORDS": passwords, "FOLDERS": folders, "PORTS": ports, "PIDS": pids}
    return MiniProject("looks-for-secrets", HEADER + LOOKS, environment=environment, limits=SMALL)


def beside(port: int) -> MiniProject:
    """Return a project that waits, with the network that it asked for, until it is told to look whether all is well."""
    return MiniProject(
        "beside",
        HEADER
        + f"""
import socket, subprocess
class T(unittest.TestCase):
    def test_nothing_was_done_to_it(self):
        open("kept", "w").write("mine"); open("/tmp/kept", "w").write("mine")
        child = subprocess.Popen(["sleep", "3000"])
        before = sorted(os.listdir("."))
        with socket.create_connection(("127.0.0.1", {port}), 10) as told:
            told.settimeout(110)
            self.assertEqual(told.recv(10), b"look")
        self.assertIsNone(child.poll())
        child.kill(); child.wait()
        self.assertEqual((open("kept").read(), open("/tmp/kept").read()), ("mine", "mine"))
        self.assertEqual(sorted(os.listdir(".")), before)
        self.assertEqual(len(bytearray(100_000_000)), 100_000_000)
        open("more", "wb").write(bytes(50_000_000))
        [os.waitpid(os.posix_spawn("/bin/true", ["true"], {{}}), 0) for _ in range(20)]
""",
        network=True,
        quiet_seconds=100,
    )


ATTACKERS = [FILLS_MEMORY, FILLS_THE_DISK, FORKS, PRINTS, LEAVES_A_DAEMON]
ATTACKS = {
    FILLS_MEMORY.name: ("memory-limit", "used more memory than 150 MB"),
    FILLS_THE_DISK.name: ("disk-limit", "wrote more than 150 MB to the disk"),
    FORKS.name: ("passed", "it met the limit of 50 processes"),
    PRINTS.name: ("disk-limit", "printed more than 20 MB"),
    LEAVES_A_DAEMON.name: ("passed", "it left 1 process running: sleep"),
}
"""What becomes of each run: its status, and what its detail says. A suite that goes on keeps its own status."""
