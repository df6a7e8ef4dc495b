"""Environments of whole runs: locked with what builds them, the same each time, and nobody's but the run's own."""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pybots_worker.contract import Ending, LocalInterpreter, Lock, RunResult
from pybots_worker.runs.lock import make_lock
from pybots_worker.runs.locked import PROJECT, read_entries, read_sections
from tiny_projects import PASSES, Bench, write_project, write_sdist, write_wheel

COMPILED = "def test_dep(self):\n  import compiled; self.assertEqual(compiled.VERSION, '1.0')\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def log_of(folder: Path) -> str:
    return zstandard.ZstdDecompressor().decompress((folder / "log.zst").read_bytes()).decode()


def good(found: tuple[RunResult, Path]) -> tuple[RunResult, str, Lock]:
    result, folder = found
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), log_of(folder)
    assert result.lock
    return result, log_of(folder), result.lock


def without_cache(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "cache")


def test_lock_names_what_builds_everything_and_what_that_asks_for(bench: Bench) -> None:
    """Of the project and of its dependencies, from sdists themselves, and what a backend asks for when it runs."""
    for name in ("tool", "asked", "wanted"):
        write_wheel(bench.links, name, "1.0")
    write_sdist(bench.links, "maker", "1.0", build_requires=("tool",), built_with=("tool",))
    write_sdist(
        bench.links, "compiled", "1.0", build_requires=("maker",), asks=("asked>=1",), built_with=("asked",)
    )
    write_project(
        bench.source, "tiny", requires=("compiled",), asks=("wanted",), built_with=("wanted",), tests=PASSES
    )
    first, log, lock = good(bench.run())
    assert [entry.label for entry in read_entries(lock.requirements)] == ["compiled==1.0"]
    sections = read_sections(lock.build_constraints)
    assert {name: [entry.label for entry in entries] for name, entries in sections.items()} == {
        PROJECT: ["wanted==1.0"],
        "compiled==1.0": ["asked==1.0", "maker==1.0"],
        "maker==1.0": ["tool==1.0"],
    }
    for name in ("tool", "asked", "wanted", "maker", "compiled"):
        write_wheel(bench.links, name, "2.0")
    second, log, _ = good(bench.run(lock=lock))
    assert "resolving" not in log
    assert "pip compile" not in log, "all that it needs is there"
    assert "tiny builds tiny wanted 1.0" in log
    without_cache(bench)
    third, log, _ = good(bench.run(lock=lock))
    assert "tiny builds maker tool 1.0" in log
    assert "tiny builds compiled asked 1.0" in log
    assert first.environment_digest == second.environment_digest == third.environment_digest
    assert first.lock == second.lock == third.lock
    fourth, _, _ = good(bench.run())
    assert fourth.environment_digest != first.environment_digest


def test_what_is_built_is_kept_for_one_interpreter_only_and_the_project_never(
    bench: Bench, tmp_path: Path
) -> None:
    write_sdist(bench.links, "compiled", "1.0")
    write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES)
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    logs = [
        good(bench.run(interpreter=LocalInterpreter(path=path)))[1]
        for path in (sys.executable, sys.executable, str(other))
    ]
    assert ["tiny builds compiled" in log for log in logs] == [True, False, True]
    assert all("tiny builds tiny" in log for log in logs)


def test_downloads_are_shared_by_interpreters(bench: Bench, tmp_path: Path) -> None:
    """The other interpreter's run finds nothing where packages come from, and needs nothing from there."""
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",), tests=PASSES)
    _, _, lock = good(bench.run())
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    (bench.links / "dep-1.0-py3-none-any.whl").unlink()
    good(bench.run(lock=lock, interpreter=LocalInterpreter(path=str(other))))


def test_file_that_is_gone(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",), tests=PASSES)
    _, _, lock = good(bench.run())
    without_cache(bench)
    (bench.links / "dep-1.0-py3-none-any.whl").unlink()
    result, _ = bench.run(lock=lock)
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert "dep was not found" in result.detail


def test_file_that_was_replaced(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", requires=("dep",), tests=PASSES)
    _, _, lock = good(bench.run())
    without_cache(bench)
    write_wheel(bench.links, "dep", "1.0", files={"dep.py": "VERSION = 'forged'\n"})
    result, _ = bench.run(lock=lock)
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert "no file of dep==1.0 has a hash that the lock names" in result.detail


@pytest.mark.parametrize("whose", ["compiled", "tiny"])
@pytest.mark.parametrize("how", ["said", "asked"])
def test_build_requirement_that_is_not_in_the_lock(bench: Bench, whose: str, how: str) -> None:
    write_wheel(bench.links, "tool", "1.0")
    new: dict[str, Any] = {"build_requires": ("tool",)} if how == "said" else {"asks": ("tool>=1",)}
    write_sdist(bench.links, "compiled", "1.0", **(new if whose == "compiled" else {}))
    write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES)
    _, _, lock = good(bench.run())
    without_cache(bench)
    sections = lock.build_constraints
    if whose == "tiny":
        write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES, **new)
    else:
        sections = f"# to build {PROJECT}\n\n# to build compiled==1.0\n"
    result, folder = bench.run(lock=make_lock(lock.requirements, sections))
    assert result.ending is Ending.ENVIRONMENT_FAILED, log_of(folder)
    label = PROJECT if whose == "tiny" else "compiled==1.0"
    assert f"building {label} needs tool" in result.detail
    assert "and the lock does not have it" in result.detail


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        (lambda lock: make_lock(lock.requirements, ""), "the lock does not say what builds"),
        (lambda lock: make_lock("dep==1.0\n", ""), "cannot be read: line 2: dep==1.0 has no hash"),
        (lambda lock: make_lock("../../dep\n", ""), "cannot be read: line 1: '../../dep' is no requirement"),
        (lambda lock: lock.model_copy(update={"digest": "0" * 64}), "not the one that its digest names"),
    ],
)
def test_locks_that_are_none(bench: Bench, changed: Any, detail: str) -> None:
    write_sdist(bench.links, "compiled", "1.0")
    write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES)
    _, _, lock = good(bench.run())
    result, _ = bench.run(lock=changed(lock))
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert detail in result.detail


SPOILS = """
import os, pathlib, stat
def spoil(above):
    for folder, _, files in os.walk(above):
        for name in [*files, "planted.whl", "sitecustomize.py", "pip.conf"]:
            path = pathlib.Path(folder, name)
            try:
                path.chmod(0o666)
            except OSError:
                pass
            try:
                path.write_text("spoilt")
            except OSError:
                pass
"""


@pytest.mark.parametrize("when", ["build", "dependency's build, and suite"])
def test_project_that_spoils_every_cache_it_finds_changes_nobody_elses(bench: Bench, when: str) -> None:
    """Same packages, same interpreter, before and after: the same environment, and it works."""
    write_wheel(bench.links, "dep", "1.0")
    write_wheel(bench.links, "tool", "1.0")
    write_sdist(bench.links, "compiled", "1.0", build_requires=("tool",), built_with=("tool",))
    tests = PASSES + f" {COMPILED}"
    write_project(bench.source, "tiny", requires=("compiled", "dep"), build_requires=("tool",), tests=tests)
    before, _, lock = good(bench.run())
    spoil = f"{SPOILS}\nfor name in ({str(bench.folder)!r}, os.environ['HOME'], os.environ['TMPDIR']): spoil(name)\n"
    bad = Bench.__new__(Bench)
    bad.folder, bad.links, bad.runs = bench.folder, bench.links, 100
    bad.source = bench.folder / "spoiler"
    options: dict[str, Any] = {"requires": ("compiled", "dep"), "build_requires": ("tool",), "tests": PASSES}
    if when == "build":
        options["code"] = spoil
    else:
        options["tests"] = spoil + PASSES
        write_sdist(bench.links, "spoils", "1.0", build_requires=("tool",), code=spoil)
        options["requires"] += ("spoils",)
    write_project(bad.source, "spoiler", **options)
    _, folder = bad.run()
    who = "spoils" if when.startswith("dependency") else "spoiler"
    assert f"tiny builds {who}\n" in log_of(folder)
    after, log, _ = good(bench.run(lock=lock))
    assert after.environment_digest == before.environment_digest
    assert "tiny builds compiled" not in log, "what was built before is still there"


def test_builds_of_one_dependency_do_not_see_another_ones(bench: Bench) -> None:
    """What is built is kept for others, so nothing of this run's may have a part in it."""
    seen = "import os, pathlib; print('home', os.listdir(os.environ['HOME']), 'source', os.listdir('.'))\n"
    seen += "pathlib.Path(os.environ['HOME'], '.pydistutils.cfg').write_text('spoilt')"
    write_sdist(bench.links, "aa", "1.0", code=seen)
    write_sdist(bench.links, "bb", "1.0", code=seen)
    write_project(bench.source, "tiny", requires=("aa", "bb"), tests=PASSES)
    _, log, _ = good(bench.run())
    assert log.count("home []") == 2


def test_dependency_that_asks_for_itself_to_be_built(bench: Bench) -> None:
    write_sdist(bench.links, "aa", "1.0", build_requires=("bb",))
    write_sdist(bench.links, "bb", "1.0", build_requires=("aa",))
    write_project(bench.source, "tiny", requires=("aa",), tests=PASSES)
    result, _ = bench.run()
    assert result.ending is Ending.ENVIRONMENT_FAILED
    assert "each of these is built by the next: aa==1.0, bb==1.0, aa==1.0" in result.detail


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("raise SystemExit(3)", "building odd==1.0 failed"),
        ("os.symlink('/etc/passwd', wheel_directory + '/odd-1.0-py3-none-any.whl')", "odd==1.0"),
        ("globals().update(NAME='other')", "building odd==1.0 made other-1.0-py3-none-any.whl"),
        (
            "globals().update(build_wheel=None); os._exit(0)",
            "building odd==1.0 failed: the backend left no answer",
        ),
    ],
)
def test_dependency_whose_build_does_something_odd(bench: Bench, code: str, detail: str) -> None:
    write_sdist(bench.links, "odd", "1.0", code=code)
    write_project(bench.source, "tiny", requires=("odd",), tests=PASSES)
    result, folder = bench.run()
    assert result.ending is Ending.ENVIRONMENT_FAILED, log_of(folder)
    assert detail in result.detail


def test_recipes_environment_is_a_part_of_what_is_built(bench: Bench) -> None:
    write_sdist(bench.links, "compiled", "1.0", code="print('flag', os.environ.get('FLAG'))")
    write_project(bench.source, "tiny", requires=("compiled",), tests=PASSES)
    logs = [good(bench.run(environment={"FLAG": flag}))[1] for flag in ("a", "b", "a")]
    assert ["flag a" in logs[0], "flag b" in logs[1], "tiny builds compiled" in logs[2]] == [
        True,
        True,
        False,
    ]


EXTENSION = """
from setuptools import Extension, setup
setup(name="{name}", version="1.0", ext_modules=[Extension("{name}", ["{name}.c"])])
"""
C = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_NAME(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module) PyModule_AddStringConstant(module, "BUILT_FOR", BUILT_FOR);
    return module;
}
"""


def write_extension(bench: Bench, name: str) -> None:
    """An sdist whose extension says which build of Python it was compiled for, where the headers say so."""
    source = bench.folder / f"{name}-1.0"
    source.mkdir()
    (source / "setup.py").write_text(EXTENSION.format(name=name))
    (source / f"{name}.c").write_text(
        C.replace("NAME", name).replace(
            "#include <Python.h>",
            "#include <Python.h>\n#ifndef BUILT_FOR\n#define BUILT_FOR PY_VERSION\n#endif",
        )
    )
    (source / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
    )
    (source / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    with tarfile.open(bench.links / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, f"{name}-1.0")


def test_extension_is_built_for_each_artifact_even_at_one_version_tag(bench: Bench, tmp_path: Path) -> None:
    """The trap: uv hands the extension that one interpreter built to another of the same version."""
    for wheel in (Path(sys.prefix) / "wheelhouse").glob("setuptools-*.whl"):
        shutil.copy(wheel, bench.links)
    write_extension(bench, "ext")
    code = "import ext, unittest\nclass T(unittest.TestCase):\n def test_a(self): print('built for', ext.BUILT_FOR)\n"
    write_project(bench.source, "tiny", requires=("ext",), tests=code)
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    first, log, lock = good(bench.run(environment={"CFLAGS": '-DBUILT_FOR=\\"first\\"'}))
    assert "built for first" in log
    second, log, _ = good(bench.run(lock=lock, interpreter=LocalInterpreter(path=str(other))))
    assert f"built for {sys.version.split()[0]}" in log
    assert second.environment_digest != first.environment_digest
    without_cache(bench)
    third, _, _ = good(bench.run(lock=lock, environment={"CFLAGS": '-DBUILT_FOR=\\"first\\"'}))
    assert third.environment_digest == first.environment_digest, "the same C makes the same extension"


def test_own_steps_with_a_lock_build_the_project_from_it(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_wheel(bench.links, "tool", "1.0")
    write_project(bench.source, "tiny", build_requires=("tool",), built_with=("tool",), tests=PASSES)
    steps = [["{uv}", "pip", "install", "dep"], ["{uv}", "pip", "install", "-v", "--no-deps", "{source}"]]
    first, _, lock = good(bench.run(install=steps))
    assert list(read_sections(lock.build_constraints)) == [PROJECT]
    write_wheel(bench.links, "tool", "2.0")
    for path in bench.links.glob("*.whl"):
        path.unlink()
    second, log, _ = good(bench.run(install=steps, lock=lock))
    assert "tiny builds tiny tool 1.0" in log
    assert second.environment_digest == first.environment_digest


def test_environment_is_there_quickly_where_lock_and_wheels_are_known(bench: Bench) -> None:
    for number in range(10):
        write_wheel(bench.links, f"dep{number}", "1.0")
    write_sdist(bench.links, "compiled", "1.0")
    requires = tuple(f"dep{number}" for number in range(10))
    write_project(bench.source, "tiny", requires=("compiled", *requires), tests=PASSES)
    _, _, lock = good(bench.run())
    result, log, _ = good(bench.run(lock=lock))
    assert result.environment_digest
    assert log.count("\n$ ") <= 7, (
        "each program that is started costs, the suite and the project's own build included"
    )
