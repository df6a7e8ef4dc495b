"""The walls between the parts: who may import what, and who may ask for the time."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]

# A stage may import those before it and itself, never one after.
STAGES = (
    "config",
    "database",
    "commits",
    "interpreters",
    "registry",
    "runs",
    "results",
    "verdicts",
    "culprits",
    "incidents",
    "notices",
    "fleet",
    "site",
    "farm",
    "commands",
)

# Reviewed: what touches the world. Every other file of the master is a decision.
EDGE_STAGES = {"database", "farm", "commands"}
EDGE_NAMES = {
    "rounds",
    "application",
    "factory",
    "files",
    "mirror",
    "pages",
    "poller",
    "read",
    "records",
    "send",
    "steps",
    "store",
}
EDGE_PREFIXES = ("read_", "store_")
EDGE_FILES = {
    "pybots.config.last_good",  # keeps files, and says since when
    "pybots.fleet.worker",  # Buildbot's worker class
    "pybots.interpreters.artifact_store",  # keeps files
    "pybots.site.api",  # FastAPI's routes
    "pybots.site.headers",  # ASGI middleware
    "pybots.site.open",  # opens the database
    "pybots.site.rendering",  # Jinja2's environment
}

# Libraries that compute, and neither wait, nor read, nor write.
PURE_LIBRARIES = {"defusedxml", "packaging", "pydantic", "pydantic_core", "subunit", "zstandard"}
STANDARD_EDGES = {
    "asyncio",
    "ftplib",
    "http",
    "imaplib",
    "multiprocessing",
    "poplib",
    "select",
    "selectors",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "urllib.request",
    "xmlrpc",
}
CLOCKS = {
    "now",
    "utcnow",
    "today",
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
}
CLOCK_OWNERS = {"datetime", "date", "time"}

# What runs under a tested interpreter: standard library that every Python from 3.9 to the next has.
ADAPTERS = {
    "pybots_django": {"django"},
    "pybots_django_settings": {"django", "test_sqlite"},
    "pybots_pytest": {"pytest", "_pytest"},
    "pybots_trial": {"twisted", "zope"},
}
NOT_IN_EVERY_PYTHON = {
    "annotationlib",
    "asynchat",
    "asyncore",
    "cgi",
    "cgitb",
    "compression",
    "concurrent.interpreters",
    "distutils",
    "formatter",
    "imp",
    "lib2to3",
    "parser",
    "pipes",
    "smtpd",
    "symbol",
    "telnetlib",
    "tomllib",
}
OLDEST_TESTED = (3, 9)


def breaches(path: PurePosixPath, source: str) -> list[str]:
    """Say what in the file at *path* (relative to the checkout) goes through a wall."""
    tree = ast.parse(source)
    imported = list(_imports(tree, _module(path)))
    if path.is_relative_to("workers/pybots_worker/under_test"):
        return [*_under_test(path, source, imported), *_worker(imported)]
    if path.is_relative_to("workers"):
        return _worker(imported)
    found = _stage_order(path, imported)
    if not _is_edge(_module(path)):
        found += _decision_imports(imported)
        found += [f"asks for the time on line {line}: take it as an argument" for line in _clocks(tree)]
    return found


def _module(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_edge(module: str) -> bool:
    _, stage, *rest = [*module.split("."), ""]
    name = (rest[:-1] or [""])[-1]
    by_name = name in EDGE_NAMES or name.startswith(EDGE_PREFIXES)
    return stage in EDGE_STAGES or by_name or module in EDGE_FILES


def _imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Every module that is imported anywhere in the file, or member of one (which may be a module too)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(module.split(".")[: -node.level]) if node.level else ""
            origin = ".".join(part for part in (package, node.module) if part)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _among(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _worker(imported: list[str]) -> list[str]:
    return [
        f"imports {name}: a worker sees nothing of the master"
        for name in imported
        if _among(name, {"pybots"})
    ]


def _stage_order(path: PurePosixPath, imported: list[str]) -> list[str]:
    stages = [name.split(".")[1] for name in imported if name.startswith("pybots.")]
    stages = [stage for stage in stages if not stage.startswith("_")]  # pybots.__version__
    own = _module(path).partition("pybots.")[2].split(".")[0]
    if not own:
        return [f"imports {stage}: the package itself imports no stage" for stage in stages]
    unknown = [stage for stage in [own, *stages] if stage not in STAGES]
    if unknown:
        return [f"{stage!r} is not a stage of the design" for stage in unknown]
    later = [stage for stage in stages if STAGES.index(stage) > STAGES.index(own)]
    return [f"stage {own} imports {stage}, a later stage" for stage in later]


def _decision_imports(imported: list[str]) -> list[str]:
    return [f"a decision imports {name}, an edge" for name in imported if not _harmless(name)]


def _harmless(name: str) -> bool:
    root = name.split(".", 1)[0]
    if root == "pybots":
        return not _is_edge(name if _is_module(name) else name.rpartition(".")[0])
    if root in sys.stdlib_module_names:
        return not _among(name, STANDARD_EDGES)
    return root in PURE_LIBRARIES or _among(name, {"pybots_worker.contract"})


def _is_module(name: str) -> bool:
    place = ROOT / "master" / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def _clocks(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in CLOCKS:
                yield node.lineno
        elif isinstance(node, ast.Attribute):
            if node.attr in CLOCKS and _name(node.value) in CLOCK_OWNERS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for alias in node.names if alias.name in CLOCKS)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _under_test(path: PurePosixPath, source: str, imported: list[str]) -> Iterator[str]:
    siblings = {file.stem for file in (ROOT / "workers/pybots_worker/under_test").glob("*.py")}
    allowed = ADAPTERS.get(path.stem, set()) | siblings
    for name in imported:
        standard = name.split(".", 1)[0] in sys.stdlib_module_names and not _among(name, NOT_IN_EVERY_PYTHON)
        if not standard and not _among(name, allowed):
            yield f"imports {name}: not in the standard library of every Python under test"
    try:
        ast.parse(source, feature_version=OLDEST_TESTED)
    except SyntaxError as error:
        yield f"line {error.lineno} is not Python 3.9: {error.msg}"


FILES = sorted(file for top in ("master", "workers") for file in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_walls_stand(file: Path) -> None:
    path = PurePosixPath(file.relative_to(ROOT).as_posix())
    assert breaches(path, file.read_text("utf-8")) == []


def test_the_reviewed_edges_exist() -> None:
    modules = {_module(PurePosixPath(file.relative_to(ROOT).as_posix())) for file in FILES}
    assert EDGE_FILES - modules == set()


DECISION = "master/pybots/runs/plan.py"
EDGE = "master/pybots/runs/steps.py"


@pytest.mark.parametrize(
    ("path", "source", "breach"),
    [
        (DECISION, "import subprocess", "imports subprocess"),
        (DECISION, "from urllib.request import urlopen", "imports urllib.request"),
        (DECISION, "from urllib import request", "imports urllib.request"),
        (DECISION, "import sqlalchemy.orm", "imports sqlalchemy.orm"),
        (DECISION, "from twisted.internet import defer", "imports twisted"),
        (DECISION, "from buildbot.plugins import util", "imports buildbot"),
        (DECISION, "import httpx", "imports httpx"),
        (DECISION, "def f():\n    import socket", "imports socket"),
        (DECISION, "from pybots.commits.store import take_in", "imports pybots.commits.store"),
        (DECISION, "from pybots.commits import store", "imports pybots.commits.store"),
        (DECISION, "from . import steps", "imports pybots.runs.steps"),
        (DECISION, "from .steps import Run", "imports pybots.runs.steps"),
        (DECISION, "from pybots.database.tables import RunRow", "imports pybots.database"),
        (DECISION, "from pybots_worker.processes import run_limited", "imports pybots_worker.processes"),
        (DECISION, "from datetime import datetime\nx = datetime.now()", "time on line 2"),
        (DECISION, "import datetime\nx = datetime.date.today()", "time on line 2"),
        (DECISION, "import time\nx = time.monotonic()", "time on line 2"),
        (DECISION, "from time import perf_counter", "time on line 1"),
        (
            DECISION,
            "from datetime import datetime\nx = field(default_factory=datetime.utcnow)",
            "time on line 2",
        ),
        (DECISION, "from pybots.results.outcome import Outcome", "imports results, a later stage"),
        (EDGE, "from pybots.farm.dispatcher import act", "imports farm, a later stage"),
        (EDGE, "from pybots import site", "imports site, a later stage"),
        (EDGE, "from pybots.utils import x", "'utils' is not a stage"),
        ("master/pybots/utils/x.py", "", "'utils' is not a stage"),
        ("master/pybots/__init__.py", "from pybots.config import model", "imports no stage"),
        ("workers/pybots_worker/keeper.py", "from pybots.runs.status import Role", "nothing of the master"),
        ("workers/pybots_worker/under_test/x.py", "import pybots", "nothing of the master"),
        ("workers/pybots_worker/under_test/x.py", "import psutil", "imports psutil"),
        ("workers/pybots_worker/under_test/x.py", "import tomllib", "imports tomllib"),
        ("workers/pybots_worker/under_test/x.py", "from django.test import runner", "imports django"),
        ("workers/pybots_worker/under_test/x.py", "match 1:\n    case 1: pass", "not Python 3.9"),
    ],
)
def test_breaches_are_seen(path: str, source: str, breach: str) -> None:
    found = breaches(PurePosixPath(path), source)
    assert any(breach in text for text in found), found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (DECISION, "from urllib.parse import urlsplit\nfrom pydantic import BaseModel"),
        (
            DECISION,
            "from pybots_worker.contract import RunResult\nfrom pybots.commits.classify import Touches",
        ),
        (
            DECISION,
            "from datetime import datetime, timedelta\ndef f(now: datetime): return now - timedelta(1)",
        ),
        (DECISION, "def f(asked): return asked.now"),
        (EDGE, "import subprocess, time\nfrom pybots.database.tables import RunRow\nx = time.time()"),
        ("master/pybots/commands/main.py", "from pybots.farm import dispatcher"),
        ("workers/pybots_worker/keeper.py", "import psutil\nfrom pybots_worker.contract import Phase"),
        (
            "workers/pybots_worker/under_test/pybots_trial.py",
            "from twisted.trial import reporter\nimport json",
        ),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert breaches(PurePosixPath(path), source) == []
