"""Says at which addresses workers find what the master hands out."""

from __future__ import annotations

from dataclasses import dataclass

from pybots.config.model import FarmConfiguration
from pybots_worker.contract import ArchiveSource, Packages, StoredInterpreter


@dataclass(frozen=True, slots=True)
class Addresses:
    """The store's address, and what lies below it."""

    base: str

    @property
    def trunk(self) -> str:
        """The mirror of the CPython repository, for git."""
        return f"{self.base}/trunk.git"

    @property
    def packages(self) -> str:
        """A page of links to the farm's own sdists and wheels."""
        return f"{self.base}/packages/"

    def interpreter(self, digest: str) -> StoredInterpreter:
        """Where an artifact is."""
        return StoredInterpreter(digest=digest, url=f"{self.base}/artifacts")

    def source(self, sha256: str) -> ArchiveSource:
        """Where a recipe's packed folder is."""
        return ArchiveSource(url=f"{self.base}/sources/{sha256}.tar.gz", sha256=sha256)


def addresses_of(configuration: FarmConfiguration) -> Addresses:
    """Return the addresses that *configuration* makes."""
    return Addresses(f"http://{configuration.master.host}:{configuration.master.store_port}")


def ready_address(configuration: FarmConfiguration) -> str:
    """Return where this machine itself asks whether the master is up."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  (compared, not bound)
    listen = configuration.master.listen
    host = anywhere.get(listen, listen)
    return f"http://{f'[{host}]' if ':' in host else host}:{configuration.master.store_port}/ready"


def packages_of(configuration: FarmConfiguration, addresses: Addresses) -> Packages:
    """Return where a run's distributions come from."""
    section = configuration.packages
    return Packages(offline=section.offline, find_links=[addresses.packages] if section.folder else [])
