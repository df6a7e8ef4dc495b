"""Tiny projects for the minifarm: each shows one way in which a run ends, and needs nothing to be built with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

BACKEND = '''
"""A build backend in the project's own tree, so that nothing has to be downloaded."""
import pathlib, zipfile

NAME = {name!r}
TAGS = "Wheel-Version: 1.0\\nGenerator: mini\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
BREAK = {break_build!r}

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if BREAK:
        raise SystemExit("the extension does not compile")
    dist = NAME.replace("-", "_")
    target = pathlib.Path(wheel_directory) / f"{{dist}}-1.0-py3-none-any.whl"
    info = f"{{dist}}-1.0.dist-info"
    requires = "".join(f"Requires-Dist: {{r}}\\n" for r in {requires!r})
    with zipfile.ZipFile(target, "w") as wheel:
        for path in sorted(pathlib.Path(".").glob("mini_*.py")):
            wheel.writestr(path.name, path.read_text())
        wheel.writestr(f"{{info}}/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: 1.0\\n{{requires}}")
        wheel.writestr(f"{{info}}/WHEEL", TAGS)
        wheel.writestr(f"{{info}}/RECORD", "")
    return target.name

def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError
'''

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "{name}"
version = "1.0"
dependencies = {requires}
"""

UNITTEST = ["{python}", "-m", "pybots_unittest"]
PYTEST = ["{python}", "-m", "pytest", "-o", "junit_family=xunit1", "--junit-xml={report}", "{deselect}"]


@dataclass(frozen=True)
class MiniProject:
    """A project's name, its test module, and what of its recipe is out of the ordinary."""

    name: str
    tests: str
    command: list[str] = field(default_factory=lambda: list(UNITTEST))
    report: str = "unittest"
    requires: list[str] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    break_build: bool = False
    deselect: list[str] = field(default_factory=list)
    variants: list[str] = field(default_factory=lambda: ["default"])
    quiet_seconds: float = 60
    environment: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    network: bool = False

    def write(self, recipes: Path, sources: Path) -> None:
        """Write the source to SOURCES/NAME and the recipe to RECIPES/NAME.toml."""
        source = sources / self.name
        source.mkdir(parents=True)
        (source / "backend.py").write_text(
            BACKEND.format(name=self.name, break_build=self.break_build, requires=self.requires)
        )
        (source / "pyproject.toml").write_text(PYPROJECT.format(name=self.name, requires=self.requires))
        module = self.name.replace("-", "_")
        (source / f"mini_{module}.py").write_text("ANSWER = 42\n")
        (source / "test_it.py").write_text(dedent(self.tests))
        (recipes / f"{self.name}.toml").write_text(self.recipe(str(source)))

    def recipe(self, path: str) -> str:
        """Return the recipe's text."""
        deselect = "".join(
            f'[[deselect]]\ntests = ["{test}"]\nreason = "shows that deselection is counted"\n'
            for test in self.deselect
        )
        limits = "".join(f"{name} = {value}\n" for name, value in self.limits.items())
        variables = "".join(f'{name} = "{value}"\n' for name, value in self.environment.items())
        return dedent("""\
            [project]
            name = "{name}"
            summary = "A tiny project of the minifarm."
            contacts = ["{name}@minifarm.example"]
            [source]
            path = "{path}"
            [install]
            requirements = {requirements}
            [test]
            command = {command}
            report = "{report}"
            [test.environment]
            {variables}
            [run]
            network = {network}
            [limits]
            {limits}
            wall_seconds = 120
            quiet_seconds = {quiet}
            [tracks]
            variants = {variants}
            {deselect}
            """).format(
            name=self.name,
            path=path,
            requirements=self.requirements,
            command=self.command,
            report=self.report,
            variables=variables,
            quiet=self.quiet_seconds,
            variants=self.variants,
            limits=limits,
            network=str(self.network).lower(),
            deselect=deselect,
        )


HEADER = "import unittest, os, sys, time\n"

PASSES = MiniProject(
    "passes",
    HEADER
    + """
import mini_passes
class T(unittest.TestCase):
    def test_one(self): self.assertEqual(mini_passes.ANSWER, 42)
    def test_two(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail("as expected")
    def test_left_out(self): self.fail("never run")
""",
    deselect=["test_it.T.test_left_out"],
    variants=["default", "debug"],
)
FAILS = MiniProject(
    "fails",
    HEADER
    + """
class T(unittest.TestCase):
    def test_good(self): pass
    def test_bad(self): self.assertEqual(1, 2, "one is not two")
    def test_error(self): raise KeyError("missing")
""",
)
SKIPS = MiniProject(
    "skips-everything",
    HEADER
    + """
@unittest.skip("nothing here works yet")
class T(unittest.TestCase):
    def test_one(self): pass
    def test_two(self): pass
""",
)
HANGS = MiniProject(
    "hangs",
    HEADER
    + """
class T(unittest.TestCase):
    def test_before(self): pass
    def test_hang(self): time.sleep(3600)
""",
    quiet_seconds=3,
)
CRASHES = MiniProject(
    "crashes",
    HEADER
    + """
class T(unittest.TestCase):
    def test_before(self): pass
    def test_crash(self): os.abort()
""",
)
INSTALL_FAILS = MiniProject("install-fails", HEADER, break_build=True)
ENVIRONMENT_FAILS = MiniProject("environment-fails", HEADER, requires=["no-such-distribution-anywhere"])
BROKEN_REPORT = MiniProject(
    "broken-report",
    HEADER,
    command=["{python}", "-c", "open(r'{report}', 'w').write('<testsuites><testsuite><testc')"],
    report="junit",
)
NO_TESTS = MiniProject("no-tests", HEADER)
COLLECTION_FAILS = MiniProject(
    "collection-fails",
    "def broken(:\n",
    command=list(PYTEST),
    report="junit",
    requirements=["pytest"],
)
PYTEST_PROJECT = MiniProject(
    "with-pytest",
    """
import pytest
@pytest.mark.parametrize("n", [1, 2, 3])
def test_numbers(n): assert n < 3
def test_left_out(): assert False
@pytest.mark.xfail
def test_expected(): assert False
""",
    command=list(PYTEST),
    report="junit",
    requirements=["pytest"],
    deselect=["test_it.py::test_left_out"],
)
NOTICES_A_CHANGE = MiniProject(
    "notices-a-change",
    HEADER
    + """
import colorsys
class T(unittest.TestCase):
    def test_module(self): self.assertFalse(hasattr(colorsys, "changed_by_a_commit"))
    def test_other(self): pass
""",
    variants=["default", "debug"],
)

EVERY_ENDING = [
    PASSES,
    FAILS,
    SKIPS,
    HANGS,
    CRASHES,
    INSTALL_FAILS,
    ENVIRONMENT_FAILS,
    BROKEN_REPORT,
    NO_TESTS,
    COLLECTION_FAILS,
    PYTEST_PROJECT,
    NOTICES_A_CHANGE,
]


def looks_around(hidden: Path) -> MiniProject:
    """Return a project whose suite passes only where the master's folder *hidden* cannot be seen."""
    return MiniProject(
        "looks-around",
        HEADER
        + """
class T(unittest.TestCase):
    def test_hidden(self):
        self.assertFalse(os.path.exists(os.path.join(os.environ["HIDDEN"], "farm.toml")))
        self.assertFalse(os.path.exists(os.path.join(os.environ["HIDDEN"], "store")))
""",
        environment={"HIDDEN": str(hidden)},
    )
