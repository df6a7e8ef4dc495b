"""Where a run happens: its folder, and the environments that its programs see."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uv as uv_package

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import REPORT_FILE, RunSpecification
from pybots_worker.runs.placeholders import fill_text

UNDER_TEST = Path(__file__).resolve().parent.parent / "under_test"
"""What runs under the tested interpreter."""
_HANDED_ON = (
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
    "all_proxy", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "CC", "CXX",
)  # fmt: skip
_UV_HANDED_ON = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_HTTP_RETRIES",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One run's folder, cache and log."""

    specification: RunSpecification
    folder: Path
    cache: Path
    log: BoundedLog = field(compare=False)

    @property
    def source(self) -> Path:
        """The project's source."""
        return self.folder / "source"

    @property
    def venv(self) -> Path:
        """The environment."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.venv / "bin" / "python"

    @property
    def report(self) -> Path:
        """The report that the suite writes."""
        return self.folder / REPORT_FILE

    @property
    def work(self) -> Path:
        """What is ours: requirement files, uv's configuration, downloads."""
        return self.folder / "work"

    def prepare(self) -> None:
        """Make the folders that programs expect."""
        for name in ("home", "tmp", "work"):
            (self.folder / name).mkdir(parents=True)
        (self.work / "uv.toml").write_text(self.uv_configuration())

    def values(self) -> dict[str, str]:
        """What the placeholders stand for."""
        return {
            "python": str(self.python),
            "source": str(self.source),
            "report": str(self.report),
            "uv": str(uv()),
        }

    def clean_environment(self) -> dict[str, str]:
        """What any program of the project sees: nothing of ours but proxies and certificates."""
        return {
            **{name: os.environ[name] for name in _HANDED_ON if name in os.environ},
            "PATH": os.pathsep.join([str(self.venv / "bin"), *_worker_path()]),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "VIRTUAL_ENV": str(self.venv),
        }

    def install_environment(self, uv_cache: Path) -> dict[str, str]:
        """What uv and the recipe's own steps see: where packages come from, and a cache for this artifact."""
        packages = self.specification.packages
        environment = self.clean_environment() | _uv_settings()
        environment |= {
            "UV_CACHE_DIR": str(uv_cache),
            "UV_CONFIG_FILE": str(self.work / "uv.toml"),
            "UV_LINK_MODE": "copy",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CACHE_DIR": str(uv_cache / "pip"),
            "PIP_NO_INPUT": "1",
        }
        if packages.find_links:
            environment["PIP_FIND_LINKS"] = " ".join(packages.find_links)
        if packages.offline:
            environment["PIP_NO_INDEX"] = "1"
        return environment | self._recipe_environment()

    def suite_environment(self) -> dict[str, str]:
        """What the suite sees: the reporters are on its path."""
        environment = self.clean_environment() | self._recipe_environment()
        paths = [str(UNDER_TEST), *filter(None, [environment.get("PYTHONPATH", "")])]
        return environment | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYBOTS_REPORT": str(self.report),
            "PYBOTS_DESELECT": str(self.work / "deselected.json"),
        }

    def uv_configuration(self, metadata_of: str = "") -> str:
        """Return uv.toml: the worker's own, or, offline, only the given folders.

        With `metadata_of`, that project's dependencies are said to be none, so that uv need not build it to
        find out what its newest version is.
        """
        packages = self.specification.packages
        lines = []
        if metadata_of:
            lines.append(
                f"dependency-metadata = [{{ name = {json.dumps(metadata_of)}, requires-dist = [] }}]"
            )
        if packages.find_links:
            lines.append(f"find-links = {json.dumps(packages.find_links)}")
        if packages.offline:
            lines.append("no-index = true")
        else:
            lines.append(_worker_uv_configuration(skip_find_links=bool(packages.find_links)))
        return "\n".join(lines) + "\n"

    def _recipe_environment(self) -> dict[str, str]:
        given: Mapping[str, str] = self.specification.environment
        return {name: fill_text(value, self.values()) for name, value in given.items()}


def uv() -> Path:
    """The uv that came with this package."""
    return Path(uv_package.find_uv_bin())


def _worker_path() -> list[str]:
    """The worker's PATH without our own environment: its programs are not the project's."""
    own = Path(sys.prefix) / "bin"
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [entry for entry in entries if entry and Path(entry) != own]


def _uv_settings() -> dict[str, str]:
    settings = {name: os.environ[name] for name in _UV_HANDED_ON if name in os.environ}
    if not settings.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} and os.environ.get("PIP_INDEX_URL"):
        settings["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    return settings


def _worker_uv_configuration(*, skip_find_links: bool) -> str:
    named = os.environ.get("UV_CONFIG_FILE", "")
    home = Path(os.environ.get("XDG_CONFIG_HOME", "") or Path.home() / ".config")
    for path in [Path(named)] if named else [home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]:
        if path.is_file():
            lines = path.read_text().splitlines()
            return "\n".join(
                line for line in lines if not (skip_find_links and line.startswith("find-links"))
            )
    return ""
