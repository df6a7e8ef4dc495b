"""Talks HTTP to one server after another (redirections): resolves a name once, and connects to what was resolved."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from urllib.request import getproxies, proxy_bypass

import httpx

from pybots_worker.contract import Ending
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.reach import Server, is_public, server_of

MAXIMUM_REDIRECTIONS = 10
TIMEOUT_SECONDS = 60.0
_HEADERS = {"Accept-Encoding": "identity"}


@contextlib.contextmanager
def answer_of(address: str, named: frozenset[Server]) -> Iterator[httpx.Response]:
    """Ask for an address, and for those that it redirects to; the answer's body is still to be read.

    Only the world's servers are asked, and *named* ones. Behind a proxy it is the proxy that resolves names: there
    only numbers can be refused. Raises httpx's errors, RunEndedError(`fetch-failed`).
    """
    url = httpx.URL(address)
    for _ in range(MAXIMUM_REDIRECTIONS + 1):
        with _open(url, named) as response:
            if not response.has_redirect_location:
                yield response
                return
            url = url.join(response.headers["location"])
    msg = f"it is redirected more than {MAXIMUM_REDIRECTIONS} times"
    raise httpx.TooManyRedirects(msg)


@contextlib.contextmanager
def _open(url: httpx.URL, named: frozenset[Server]) -> Iterator[httpx.Response]:
    server = server_of(str(url))
    if server is None:
        raise RunEndedError(Ending.FETCH_FAILED, f"it is redirected to what is no HTTP address: {url}")
    proxy = _proxy(url.scheme, *server)
    with httpx.Client(proxy=proxy, trust_env=False, timeout=TIMEOUT_SECONDS, verify=_trust()) as client:
        if server in named:
            requests = [client.build_request("GET", url, headers=_HEADERS)]
        elif proxy:
            _refuse_unless_public(server, _resolved(*server, only_numbers=True), or_none=True)
            requests = [client.build_request("GET", url, headers=_HEADERS)]
        else:
            found = _refuse_unless_public(server, _resolved(*server))
            requests = [_to(client, url, server[0], number) for number in found]
        response = _first(client, requests)
        try:
            yield response
        finally:
            response.close()


def _first(client: httpx.Client, requests: list[httpx.Request]) -> httpx.Response:
    """The first answer; a host that has several addresses may not be reached at all of them."""
    for request in requests[:-1]:
        with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
            return client.send(request, stream=True)
    return client.send(requests[-1], stream=True)


def _to(client: httpx.Client, url: httpx.URL, host: str, number: str) -> httpx.Request:
    """A request that goes to this number, and is for the host of the address: its certificate, its name."""
    headers = {**_HEADERS, "Host": url.netloc.decode("ascii")}
    extensions = {"sni_hostname": host} if url.scheme == "https" else {}
    return client.build_request("GET", url.copy_with(host=number), headers=headers, extensions=extensions)


def _resolved(host: str, port: int, *, only_numbers: bool = False) -> list[str]:
    """The IP addresses of a host; with *only_numbers*, those that its name itself says, in whatever notation."""
    try:
        flags = socket.AI_NUMERICHOST if only_numbers else 0
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        if only_numbers:
            return []
        raise httpx.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _refuse_unless_public(server: Server, numbers: list[str], *, or_none: bool = False) -> list[str]:
    found = [number for number in numbers if is_public(number)]
    if not found and not (or_none and not numbers):
        detail = (
            f"{server[0]}:{server[1]} is inside of this network ({', '.join(numbers)[:100]}), "
            "and not where packages come from"
        )
        raise RunEndedError(Ending.FETCH_FAILED, detail)
    return found


def _proxy(scheme: str, host: str, port: int) -> str | None:
    """The proxy that the worker's own environment names for a server."""
    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or proxy_bypass(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"):
        return None
    return found if "://" in found else f"http://{found}"


def _trust() -> ssl.SSLContext:
    """The system's certificates, as uv and git use; SSL_CERT_FILE names others."""
    return ssl.create_default_context()
