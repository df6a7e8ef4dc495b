"""What a parallel run does when a process of its pool ends: the real pool, and nothing of Django but a name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybots_worker.runs.place import UNDER_TEST

RUN = """
import multiprocessing, os, sys
import pybots_django
def end(how):
    os.kill(os.getpid(), 11) if how < 0 else os._exit(how)
if __name__ == "__main__":
    pybots_django.crash_with_workers()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(abs, [1, -2]), flush=True)
        if len(sys.argv) > 1:
            list(pool.imap_unordered(end, [int(sys.argv[1])]))
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "django" / "test").mkdir(parents=True)
    for name in ("__init__.py", "test/__init__.py"):
        (folder / "django" / name).write_text("")
    (folder / "django" / "test" / "runner.py").write_text("class DiscoverRunner: pass\n")
    (folder / "run.py").write_text(RUN)
    path = os.pathsep.join([str(UNDER_TEST), str(folder)])
    return subprocess.run(
        [sys.executable, "run.py", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("how", "status", "told"),
    [
        ("1", 1, "pybots: a test process ended itself with status 1"),
        ("3", 3, "pybots: a test process ended itself with status 3"),
        ("-11", -11, "pybots: a test process was ended by signal 11"),
    ],
)
def test_process_that_ends_ends_the_run(tmp_path: Path, how: str, status: int, told: str) -> None:
    done = run(tmp_path, how)
    assert (done.returncode, told in done.stderr) == (status, True), done.stderr


def test_pool_that_is_done_is_left_alone(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2]\n", "")


ASKED = """
import json, sys, unittest
import django.test.runner as real

class Parallel(unittest.TestSuite):
    def __init__(self, parts):
        super().__init__()
        self.subsuites = parts
    def __iter__(self):
        return iter(self.subsuites)

class DiscoverRunner:
    test_suite = unittest.TestSuite
    parallel = 2
    def build_suite(self):
        load = unittest.defaultTestLoader.loadTestsFromTestCase
        parts = [load(A), load(B)]
        return Parallel(parts) if sys.argv[1] == "parallel" else unittest.TestSuite(parts)

class A(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): pass

class B(unittest.TestCase):
    def test_c(self): pass

real.DiscoverRunner = DiscoverRunner
import pybots_django
runner = pybots_django.Runner()
suite = runner.build_suite()
names = [test.id() for part in suite for test in part]
print(json.dumps([names, runner.parallel]))
"""


@pytest.mark.parametrize("how", ["parallel", "serial"])
@pytest.mark.parametrize(
    ("asked", "parallel"),
    [
        (["__main__.A.test_b", "__main__.B.test_c"], 2),
        (["__main__.A.test_b"], 1),
        ([], 1),
    ],
)
def test_asked_tests_alone_are_in_the_suite(
    tmp_path: Path, how: str, asked: list[str], parallel: int
) -> None:
    (tmp_path / "django" / "test").mkdir(parents=True)
    for name in ("__init__.py", "test/__init__.py"):
        (tmp_path / "django" / name).write_text("")
    (tmp_path / "django" / "test" / "runner.py").write_text("class DiscoverRunner: pass\n")
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    (tmp_path / "run.py").write_text(ASKED)
    said = subprocess.run(
        [sys.executable, "run.py", how],
        cwd=tmp_path,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join([str(UNDER_TEST), str(tmp_path)]),
            "PYBOTS_TESTS": str(tmp_path / "asked.json"),
            "PYBOTS_SELECTED": str(tmp_path / "selected"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert json.loads(said) == [asked, parallel if how == "parallel" else 2]
    assert (tmp_path / "selected").exists()
