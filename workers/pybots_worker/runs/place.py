"""Where a run happens: its folder, and the environments that its programs see."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import uv as uv_package

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import REPORT_FILE, ArchiveSource, RunSpecification
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.processes import Bounds
from pybots_worker.runs.placeholders import fill_text
from pybots_worker.runs.reach import Server, servers_in
from pybots_worker.runs.scratch import make_scratch, scratch_of
from pybots_worker.runs.selection import selecting_variables
from pybots_worker.runs.spent import Spent
from pybots_worker.sandbox.machine import grants, write_made_up_files
from pybots_worker.sandbox.policy import SHARED_MEMORY_SHARE, TEMPORARY, Sandbox

WRITABLE = ("source", "venv", "home", "work", "output")
"""What the project may write in the run's folder, besides its temporary one."""
_IN_THE_WAY = frozenset(
    {
        *(
            errno.EACCES,
            errno.EEXIST,
            errno.EISDIR,
            errno.ELOOP,
            errno.ENAMETOOLONG,
            errno.ENOENT,
            errno.ENOEXEC,
        ),
        *(errno.ENOTDIR, errno.ENOTEMPTY, errno.ENXIO, errno.EPERM),
    }
)
UNDER_TEST = Path(__file__).resolve().parent.parent / "under_test"
"""What runs under the tested interpreter."""
_PROXIES = (
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy",
)  # fmt: skip
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_COMPILERS = ("CC", "CXX")
_FILES = (*_TRUST, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_CLIENT_CERT", "UV_CONFIG_FILE")
"""Variables that name files: who is given the variable can read the file."""
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")
_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_UV_HANDED_ON = (
    *_UV_INDEXES, "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_HTTP_RETRIES",
)  # fmt: skip
_PIP_HANDED_ON = (
    "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_TRUSTED_HOST", "PIP_RETRIES", "PIP_TIMEOUT",
    "PIP_DEFAULT_TIMEOUT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
_PIP_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")


@dataclass(frozen=True, slots=True)
class Place:
    """One run's folder, cache and log."""

    specification: RunSpecification
    folder: Path
    cache: Path
    log: BoundedLog = field(compare=False)
    shown: tuple[Path, ...] = ()
    """What the sandbox shows besides, read-only: the interpreter."""
    spent: Spent = field(default_factory=Spent, compare=False)
    """What was fetched for this run so far, wherever it was needed."""

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
        """Where the suite writes its report; when it is dead, that goes to the folder itself."""
        return self.folder / "output" / REPORT_FILE

    @property
    def work(self) -> Path:
        """What steps write for each other; the project can write here too."""
        return self.folder / "work"

    @property
    def ours(self) -> Path:
        """What only we write: the project sees some of it, and changes none."""
        return self.folder / "ours"

    @property
    def fetched(self) -> Path:
        """Where we put what was fetched for a place, until it is unpacked there."""
        return self.ours / "fetched"

    @property
    def under_test(self) -> Path:
        """This run's own copy of what runs under the tested interpreter."""
        return self.ours / "under_test"

    @property
    def deselected(self) -> Path:
        """The list of tests that are not run."""
        return self.ours / "deselected.json"

    @property
    def tests(self) -> Path:
        """The list of tests that alone are run; there is none where the whole suite is."""
        return self.ours / "tests.json"

    @property
    def selected(self) -> Path:
        """What the suite's runner makes when it has left out what is not in that list."""
        return self.folder / "output" / "selected"

    @property
    def pip_log(self) -> Path:
        """Where pip says all that it knows of one step."""
        return self.work / "pip.log"

    def prepare(self) -> None:
        """Make the folders that programs expect; `remove_scratch` removes the one that is not in ours."""
        for name in ("home", "work", "venv", "output", "ours"):
            (self.folder / name).mkdir(parents=True)
        self.fetched.mkdir()
        make_scratch(self.folder)
        write_made_up_files(self.ours / "etc", self.folder / "home")
        # A copy: what a project writes there, compiled files too, must not reach the next run.
        self.under_test.mkdir()
        for path in UNDER_TEST.glob("*.py"):
            if path.name != "pybots_proof.py":
                shutil.copyfile(path, self.under_test / path.name)
        (self.ours / "uv.toml").write_text(self.uv_configuration())
        self.deselected.write_text(json.dumps(self.specification.deselected))
        if self.specification.tests is not None:
            self.tests.write_text(json.dumps(self.specification.tests))

    def empty(self, name: str) -> Path:
        """Make an empty folder in `work`, whatever the project has put there under its name. Raises OSError."""
        made = self.work / name
        remove_tree(made)
        made.mkdir()
        return made

    def open_again(self) -> None:
        """Give us back what the project took from our own account: the permission to look into its folders."""
        for path in self._writable():
            with contextlib.suppress(OSError):
                path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRWXU)

    def is_in_the_way(self, error: OSError) -> bool:
        """Whether it is something that the project wrote, or removed, which the system complains of."""
        if error.errno not in _IN_THE_WAY or not isinstance(error.filename, str):
            return False
        named = Path(os.path.abspath(error.filename))  # noqa: PTH100  (links stay what they are)
        return any(named.is_relative_to(self.folder / name) for name in WRITABLE)

    def _writable(self) -> list[Path]:
        own = [self.folder / name for name in WRITABLE]
        return [path for path in own if path.is_dir() and not path.is_symlink()]

    def bounds(
        self,
        environment: Mapping[str, str],
        *,
        network: bool,
        writable: Sequence[Path] = (),
        readable: Sequence[Path] = (),
    ) -> Bounds:
        """What a program of the project may see, write and use: nothing else of this machine.

        Without a sandbox (its owner allowed that, or no run comes so far) only what it uses is bounded.
        """
        scratch = scratch_of(self.folder)
        limits = self.specification.limits
        own = [self.folder / name for name in WRITABLE]
        counted = (*own, self.ours, scratch)
        folders = (*self._writable(), *writable)
        if grants().lack:
            return Bounds(limits, counted)
        # Of a variable that a recipe set, nothing is shown: it could name any file of this machine.
        of_owner = [name for name in _FILES if name not in self.specification.environment]
        handed_on = [
            Path(environment[name])
            for name in of_owner
            if environment.get(name)
            and (environment[name] == os.environ.get(name) or Path(environment[name]).parent == self.ours)
        ]
        seen = [
            self.under_test,
            self.deselected,
            self.tests,
            uv(),
            *self.shown,
            *handed_on,
            *self.links,
            *readable,
        ]
        sandbox = Sandbox(
            writable=folders,
            readable=tuple(path for path in seen if path.exists()),
            temporary=scratch,
            made_up=self.ours / "etc",
            shared_memory_bytes=limits.memory_bytes // SHARED_MEMORY_SHARE,
            network=network,
        )
        return Bounds(limits, counted, sandbox)

    @property
    def links(self) -> list[Path]:
        """The folders on this machine that packages come from."""
        found = [urlsplit(link) for link in self.specification.packages.find_links]
        return [Path(unquote(link.path)) for link in found if link.scheme in ("", "file")]

    @property
    def servers(self) -> frozenset[Server]:
        """The servers that the owner of this machine named as package indexes, and the farm's own."""
        specification = self.specification
        named = [os.environ[name] for name in (*_UV_INDEXES, *_PIP_INDEXES) if name in os.environ]
        named += [*specification.packages.find_links, self.uv_configuration()]
        if isinstance(specification.source, ArchiveSource):
            named.append(specification.source.url)
        return servers_in(named)

    def values(self) -> dict[str, str]:
        """What the placeholders stand for."""
        return {
            "python": str(self.python),
            "source": str(self.source),
            "report": str(self.report),
            "uv": str(uv()),
        }

    def clean_environment(self) -> dict[str, str]:
        """What any program of the project sees: nothing of ours."""
        return {
            **_ours(_COMPILERS),
            "PATH": os.pathsep.join([str(self.venv / "bin"), *_worker_path()]),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(scratch_of(self.folder) if grants().lack else TEMPORARY[0]),
            "LANG": "C.UTF-8",
            "VIRTUAL_ENV": str(self.venv),
        }

    def network_environment(self) -> dict[str, str]:
        """What a program sees that fetches something: the worker's proxies, with their passwords, and certificates."""
        return self.clean_environment() | _ours((*_PROXIES, *_TRUST))

    def install_environment(self, uv_cache: Path) -> dict[str, str]:
        """What uv and the recipe's own steps see: where packages come from, and a cache for this artifact."""
        packages = self.specification.packages
        environment = self.network_environment() | _uv_settings() | _pip_settings()
        environment |= {
            "UV_CACHE_DIR": str(uv_cache),
            "UV_CONFIG_FILE": str(self.ours / "uv.toml"),
            "UV_LINK_MODE": "copy",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CACHE_DIR": str(uv_cache / "pip"),
            "PIP_NO_INPUT": "1",
            "PIP_LOG": str(self.pip_log),
        }
        if packages.find_links:
            environment["PIP_FIND_LINKS"] = " ".join(packages.find_links)
        if packages.offline:
            environment["PIP_NO_INDEX"] = "1"
            environment = {name: text for name, text in environment.items() if name not in _PIP_INDEXES}
        return environment | self._recipe_environment()

    def suite_environment(self) -> dict[str, str]:
        """What the suite sees: the reporters are on its path. Proxies only with the network, and without passwords."""
        environment = self.clean_environment()
        if self.specification.network:
            proxies = {name: _PASSWORD.sub("", address) for name, address in _ours(_PROXIES).items()}
            environment |= proxies | _ours(_TRUST)
        environment |= {"PYTHONFAULTHANDLER": "1"} | self._recipe_environment()
        paths = [str(self.under_test), *filter(None, [environment.get("PYTHONPATH", "")])]
        specification = self.specification
        if specification.tests is not None:
            environment |= selecting_variables(
                specification.command, specification.report, environment, self.tests, self.selected
            )
        return environment | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYBOTS_REPORT": str(self.report),
            "PYBOTS_DESELECT": str(self.deselected),
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


def _ours(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _worker_path() -> list[str]:
    """The worker's PATH without our own environment: its programs are not the project's.

    A worker that is installed in the system's Python has no environment of its own.
    """
    if sys.prefix == sys.base_prefix:
        return [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    own = Path(sys.prefix) / "bin"
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [entry for entry in entries if entry and Path(entry) != own]


def _uv_settings() -> dict[str, str]:
    settings = {name: os.environ[name] for name in _UV_HANDED_ON if name in os.environ}
    if not settings.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} and os.environ.get("PIP_INDEX_URL"):
        settings["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    return settings


def _pip_settings() -> dict[str, str]:
    settings = {name: os.environ[name] for name in (*_PIP_HANDED_ON, *_PIP_INDEXES) if name in os.environ}
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in settings:
        name, separator, address = index.partition("=")  # uv's indexes may have names
        settings["PIP_INDEX_URL"] = address if separator and "/" not in name else index
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
