"""Decides which servers our own downloads may go to: the world's, and those that the owner or the farm named."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

Server = tuple[str, int]
"""A host's name, in small letters, and its port."""

_ADDRESS = re.compile(r"https?://[^\s\"'\\<>\[\]]+|https?://[^\s\"'\\<>/]*\[[0-9a-fA-F:.]+\][^\s\"'\\<>]*")
_PORTS = {"http": 80, "https": 443}
_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128"),  # this machine
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24"),  # private
            *("fc00::/7", "fec0::/10"),
            *("169.254.0.0/16", "fe80::/10"),  # of one link: where clouds answer with passwords
            *("224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),  # groups, and what is nobody's
        ),
    )
)
"""Not what the standard library calls private: that has the networks of examples too, where mirrors are found."""
_CARRIES_ANOTHER = ipaddress.ip_network("64:ff9b::/96")
"""NAT64: the last four bytes are the address that is reached."""


def servers_in(texts: Iterable[str]) -> frozenset[Server]:
    """Return the servers of all HTTP addresses in these texts: settings, configuration files."""
    found = (server_of(address) for text in texts for address in _ADDRESS.findall(text))
    return frozenset(server for server in found if server)


def server_of(address: str) -> Server | None:
    """Return the server of an address; None where it is no HTTP address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (host.lower(), port) if host and port and parts.scheme in _PORTS else None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the world's: not this machine's, not this network's, nobody's group."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    meant = _carried(found) or found
    return not any(meant in network for network in _INSIDE)


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address of the older kind that one of the newer kind stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _CARRIES_ANOTHER or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
