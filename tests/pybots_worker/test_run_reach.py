"""Where our own downloads may go: never into this machine's network, but to the servers that were named for it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import ArchiveSource, Ending, Limits, Packages
from pybots_worker.runs.downloads import Downloads, downloads_of
from pybots_worker.runs.locked import File
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.place import Place
from pybots_worker.runs.reach import is_public, server_of, servers_in
from pybots_worker.runs.spent import Spent
from tiny_projects import Bench

CONTENT = b"c" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A real server on the loopback interface, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.redirections: dict[str, str] = {}
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked.append((self.path, self.headers["Host"]))
                where = served.redirections.get(self.path)
                self.send_response(302 if where else 200)
                if where:
                    self.send_header("Location", where)
                self.send_header("Content-Length", str(0 if where else len(CONTENT)))
                self.end_headers()
                self.wfile.write(b"" if where else CONTENT)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.runs.download.ATTEMPTS", 1)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(tmp_path: Path, address: str, *named: str) -> None:
    Downloads(tmp_path / "store", seconds=10, servers=servers_in(named)).fetch(
        [File("a.whl", SHA256, address)]
    )


def refusal(tmp_path: Path, address: str, *named: str) -> str:
    with pytest.raises(RunEndedError) as caught:
        fetch(tmp_path, address, *named)
    assert caught.value.ending is Ending.FETCH_FAILED, caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        *(
            (each, False)
            for each in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1")
        ),
        *((each, False) for each in ("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255")),
        *((each, False) for each in ("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1")),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("203.0.113.80", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("::7f00:1", False),
        ("2002:7f00:1::", False),
        ("localhost", False),
    ],
)
def test_addresses_of_the_world(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_named_servers() -> None:
    texts = [
        'index = [{ url = "https://me:pw@Index.Example/simple" }]\nfind-links = ["http://[::1]:81/x", "/here"]',
        "own=http://10.0.0.1:3141/root/ https://other.example:8443",
        "http://h:port/ http://",
    ]
    assert servers_in(texts) == {
        ("index.example", 443),
        ("::1", 81),
        ("10.0.0.1", 3141),
        ("other.example", 8443),
    }


@given(st.lists(st.one_of(st.text(max_size=60), st.text(max_size=30).map("http://{}".format)), max_size=3))
def test_any_text_names_servers_or_none(texts: list[str]) -> None:
    for text in texts:
        server_of(text)
        is_public(text)
    assert all(host and 0 < port < 65536 for host, port in servers_in(texts))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"]
)
def test_own_network_is_not_asked_unless_it_was_named(tmp_path: Path, server: Server, host: str) -> None:
    said = refusal(tmp_path, f"http://{host}:{server.port}/a.whl", f"http://{host}:1/", "http://other:80")
    assert "inside of this network" in said
    assert server.asked == []


def test_named_server_is_asked(tmp_path: Path, server: Server) -> None:
    fetch(tmp_path, f"{server.address}/a.whl", server.address)
    assert (tmp_path / "store" / SHA256 / "a.whl").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "where", ["http://localhost:{port}/b", "//localhost:{port}/b", "file:///etc/passwd", "x:y"]
)
def test_redirection_is_an_address_like_any_other(tmp_path: Path, server: Server, where: str) -> None:
    server.redirections["/a.whl"] = where.format(port=server.port)
    refusal(tmp_path, f"{server.address}/a.whl", server.address)
    assert [path for path, _ in server.asked] == ["/a.whl"]


def test_redirections_are_followed_and_end(tmp_path: Path, server: Server) -> None:
    server.redirections |= {"/a.whl": "/b", "/b": f"{server.address}/c", "/round": "/round"}
    fetch(tmp_path, f"{server.address}/a.whl", server.address)
    assert "redirected more than" in refusal(tmp_path / "other", f"{server.address}/round", server.address)
    assert len(server.asked) < 20


def test_name_is_resolved_once_and_that_address_is_connected_to(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something else the second time (rebinding) is not asked a second time."""
    asked: list[str] = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host == "package.example":
            asked.append(host)
            numbers = ["10.9.9.9", "127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]
        return real(host, port, *_, **__)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("pybots_worker.runs.connect.is_public", lambda number: number == "127.0.0.1")
    fetch(tmp_path, f"http://package.example:{server.port}/a.whl")
    assert asked == ["package.example"]
    assert server.asked == [("/a.whl", f"package.example:{server.port}")]


def certificate(folder: Path, host: str) -> Path:
    """A certificate with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "both.pem").write_bytes(key.private_bytes(*text) + made.public_bytes(text[0]))
    (folder / "trusted.pem").write_bytes(made.public_bytes(text[0]))
    return folder / "both.pem"


@pytest.mark.parametrize("host", ["package.example", "other.example"])
def test_certificate_is_that_of_the_name(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path, "package.example"))
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    monkeypatch.setattr("pybots_worker.runs.connect.is_public", lambda number: True)
    monkeypatch.setattr("pybots_worker.runs.connect._resolved", lambda *_, **__: ["127.0.0.1"])
    address = f"https://{host}:{server.port}/a.whl"
    if host == "package.example":
        fetch(tmp_path, address)
        assert server.asked == [("/a.whl", f"{host}:{server.port}")]
    else:
        with pytest.raises(RunEndedError, match="certificate verify failed"):
            fetch(tmp_path, address)


def test_behind_a_proxy_names_are_its_own_and_numbers_are_refused(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    for address in ("http://127.0.0.1:9/a.whl", "http://2130706433/a.whl"):
        assert "inside of this network" in refusal(tmp_path, address)
    fetch(tmp_path, "http://package.example/a.whl")
    assert server.asked == [("http://package.example/a.whl", "package.example")]


def test_owners_and_the_farms_servers_are_named_and_a_recipes_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text('extra-index-url = ["http://10.0.0.1:3141/simple"]\n')
    specification = Bench(tmp_path).specification(
        source=ArchiveSource(url="http://master.example:8011/sources/x.tar.gz", sha256=SHA256),
        environment={"UV_INDEX_URL": "http://127.0.0.1:5/"},
        requirements=["x @ http://127.0.0.1:6/x.whl"],
        packages=Packages(find_links=["http://master.example:8012/packages/"]),
    )
    place = Place(specification, tmp_path / "run", tmp_path / "cache", BoundedLog(10, 10))
    assert {
        ("index.example", 443),
        ("10.0.0.1", 3141),
        ("master.example", 8011),
        ("master.example", 8012),
    } <= (place.servers)
    assert not {("127.0.0.1", 5), ("127.0.0.1", 6)} & place.servers


def test_all_downloads_of_a_run_together_are_bounded(tmp_path: Path, server: Server) -> None:
    """By the same number as what it may write; of a building place's too."""
    spent = Spent()
    for number in range(4):
        store = Downloads(
            tmp_path / str(number),
            seconds=9,
            servers=servers_in([server.address]),
            spent=spent,
            run_bytes=3500,
        )
        if number < 3:
            store.fetch([File("a.whl", SHA256, f"{server.address}/a.whl")])
    with pytest.raises(RunEndedError) as caught:
        store.fetch([File("a.whl", SHA256, f"{server.address}/a.whl")])
    assert (caught.value.ending, caught.value.detail) == (
        Ending.DISK_LIMIT,
        "what it needs takes more than 3.5 kB to download",
    )
    assert list((tmp_path / "3").iterdir()) == []


def test_copies_of_downloads_are_bounded_too(tmp_path: Path) -> None:
    """What is in the store already costs no download, and a place on the disk like any other."""
    (tmp_path / "out").mkdir()
    store = Downloads(tmp_path / "store", seconds=9, run_bytes=2500)
    for number in range(3):
        path = tmp_path / f"{number}.whl"
        path.write_bytes(bytes([number]) * 1000)
        file = File(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.as_uri())
        if number < 2:
            store.take(file, tmp_path / "out")
            store.take(file, tmp_path / "out")
    with pytest.raises(RunEndedError) as caught:
        store.take(file, tmp_path / "out")
    assert caught.value.ending is Ending.DISK_LIMIT


def test_what_we_put_into_a_run_counts_as_its_own(tmp_path: Path) -> None:
    specification = Bench(tmp_path).specification(limits=Limits(disk_bytes=10**6))
    place = Place(specification, tmp_path / "run", tmp_path / "cache", BoundedLog(10, 10))
    place.prepare()
    assert place.ours in place.bounds({}, network=False).folders
    assert downloads_of(place)._run_bytes == 10**6
    assert downloads_of(place)._spent is place.spent
