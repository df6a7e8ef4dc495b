from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pybots_worker.contract import InterpreterStatus
from pybots_worker.interpreters.plan import Built, Wanted
from pybots_worker.interpreters.tree import TreeBusyError, claim_tree

sys.path.insert(0, str(Path(__file__).parents[1] / "minifarm"))

from trunk import (
    COMPILE_FAILS,
    CONFIGURE_FAILS,
    INSTALL_FAILS,
    PROVE_FAILS,
)
from workshop import EVERYTHING, REPLACED, Workshop, phases

SKELETON = Path(__file__).parents[1] / "minifarm" / "skeleton"
SLEEP = "import pathlib, time\npathlib.Path('{place}').touch()\ntime.sleep(600)\n"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_in(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                yield process
        except (psutil.Error, OSError):
            continue


def test_one_tree_serves_commit_after_commit(workshop: Workshop) -> None:
    workshop.commit()
    first = workshop.build()
    assert (first.status, first.detail, first.clean_build) == (InterpreterStatus.PROVEN, "", True)
    assert phases(first) == EVERYTHING
    assert first.proof is not None
    assert set(first.proof.checks.values()) == {"ok"}
    assert first.proof.version == " ".join(sys.version.split())
    workshop.commit({"Lib/colorsys.py": "ANSWER = 42\n"})
    second = workshop.build()
    assert (second.status, second.clean_build, phases(second)) == ("proven", False, REPLACED)
    assert workshop.run(second, "import colorsys; print(colorsys.ANSWER)") == "42"
    workshop.commit({"Doc/index.rst": "Nothing that is installed.\n"})
    third = workshop.build()
    assert (third.artifact, third.clean_build) == (second.artifact, False)
    # Packed without being asked for: the file with its byte code, and nothing.
    assert 0 < second.pack_bytes < 5000
    assert third.pack_bytes == 0
    again = workshop.build()
    assert (again.artifact, again.clean_build) == (second.artifact, False)
    cached = workshop.run(
        second, "import colorsys, pathlib; print(pathlib.Path(colorsys.__cached__).exists())"
    )
    assert cached == "True"


def test_a_clean_build_takes_nothing_from_an_earlier_one(workshop: Workshop) -> None:
    workshop.commit()
    first = workshop.build()
    again = workshop.build()
    clean = workshop.build(clean=True)
    assert (first.clean_build, again.clean_build, clean.clean_build) == (True, False, True)
    assert clean.artifact == first.artifact


ADD = (
    "#include <Python.h>\n"
    "static PyObject *f(PyObject *s, PyObject *u) {{ return PyLong_FromLong({answer}); }}\n"
    'static PyMethodDef m[] = {{{{"answer", f, METH_NOARGS, NULL}}, {{NULL, NULL, 0, NULL}}}};\n'
    'static struct PyModuleDef d = {{PyModuleDef_HEAD_INIT, "_add", NULL, 0, m, NULL, NULL, NULL, NULL}};\n'
    "PyMODINIT_FUNC PyInit__add(void) {{ return PyModuleDef_Init(&d); }}\n"
)


def makefile_with(changes: dict[str, str]) -> str:
    makefile = (SKELETON / "Makefile.pre.in").read_text()
    base = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    for old, new in {**changes, "@BASE@": base, "@EXT_SUFFIX@": ".so"}.items():
        assert old in makefile
        makefile = makefile.replace(old, new)
    return makefile


ANSWER = "import _add; print(_add.answer())"


def test_what_changes_in_c_is_compiled_again(workshop: Workshop) -> None:
    flags = [{"Makefile.pre.in": makefile_with({"-O0": f"-O0 -DANSWER={answer}"})} for answer in (1, 2)]
    workshop.commit({"Modules/_add.c": ADD.format(answer="ANSWER"), **flags[0]})
    first = workshop.build()
    assert (workshop.run(first, ANSWER), first.clean_build) == ("1", True)
    workshop.commit(flags[1])
    second = workshop.build()
    assert workshop.run(second, ANSWER) == "2", "new flags reach every object"
    assert (second.clean_build, second.fell_back) == (True, False)
    workshop.commit({"Modules/_add.c": ADD.format(answer=3)})
    third = workshop.build()
    assert (workshop.run(third, ANSWER), third.clean_build) == ("3", False)
    elsewhere = Workshop(workshop.folder / "another", workshop.head)
    clean = elsewhere.build(git=str(workshop.trunk))
    assert (clean.artifact, clean.clean_build) == (third.artifact, True), "two trees make one artifact"
    assert workshop.run(clean, "import sysconfig; print(sysconfig.get_config_var('abs_srcdir'))") == (
        "/pybots/source"
    )
    ahead = time.time() + 3600
    for path in (workshop.tree() / "source").rglob("*.[os]*"):
        os.utime(path, (ahead, ahead))
    workshop.commit({"Modules/_add.c": ADD.format(answer=4)})
    fourth = workshop.build()
    assert workshop.run(fourth, ANSWER) == "4", "the clock was set back, so objects are younger than sources"


def test_a_tree_remembers_what_was_built_and_when(tmp_path: Path) -> None:
    built = Built(Wanted("a" * 40, ("--with-pydebug",), "gcc 12", "m" * 64), 1735689600.25, "d" * 64)
    with claim_tree(tmp_path, "main", "default", 0) as tree:
        tree.save_built(built)
        assert tree.last_built() == built
        tree.forget_built()
        assert tree.last_built() is None


def test_a_place_in_which_nothing_can_be_built(workshop: Workshop) -> None:
    workshop.commit()
    spaced = Workshop(workshop.folder / "a space", workshop.head)
    with pytest.raises(OSError, match="cannot be built in a folder whose path has a space"):
        spaced.build(git=str(workshop.trunk))


def test_the_debug_variant_has_a_tree_of_its_own(workshop: Workshop) -> None:
    workshop.commit()
    seen = "import sysconfig; print(sysconfig.get_config_var('Py_DEBUG'))"
    assert workshop.run(workshop.build(), seen) == "0"
    debug = workshop.build(variant="debug", configure=["--with-pydebug"])
    assert debug.clean_build
    assert workshop.run(debug, seen) == "1"
    assert (workshop.tree() / "built.json").exists()
    assert (workshop.tree("debug") / "built.json").exists()


def test_what_a_variant_needs_is_said_before_anything_is_built(workshop: Workshop) -> None:
    workshop.commit({"Tools/jit/_llvm.py": "_LLVM_VERSION = 3\n"})
    result = workshop.build(variant="jit", configure=["--enable-experimental-jit"])
    assert (result.status, phases(result)) == ("worker-unfit", ["fetch"])
    assert result.detail == "not built here: needs clang 3 and llvm-readobj 3"


@pytest.mark.parametrize(
    ("files", "status", "last", "detail", "tail"),
    [
        (CONFIGURE_FAILS, "configure-failed", "configure!", "status 77", "checking for a compiler... no"),
        ({"configure": None}, "configure-failed", "configure!", "./configure cannot be run", "$ ./configure"),
        (COMPILE_FAILS, "compile-failed", "compile!", "make GITVERSION= GITTAG=", "_broken.c:1:"),
        (INSTALL_FAILS, "install-failed", "install!", "make GITVERSION= GITTAG=", "install: cannot install"),
        (PROVE_FAILS, "prove-failed", "prove!", "libsqlite3-dev", "=== prove"),
    ],
)
def test_each_phase_has_its_status(
    workshop: Workshop, files: dict[str, str | None], status: str, last: str, detail: str, tail: str
) -> None:
    workshop.commit()
    workshop.commit(files)
    result = workshop.build()
    assert (result.status, result.artifact, result.clean_build) == (status, None, True)
    assert not result.fell_back, "there was nothing to fall back from"
    assert phases(result)[-1] == last
    assert detail in result.detail
    assert tail in result.log_tail
    assert not (workshop.output / "artifact.tar.zst").exists()


def test_a_commit_that_cannot_be_fetched(workshop: Workshop) -> None:
    workshop.commit()
    result = workshop.build(commit="0" * 40)
    assert (result.status, phases(result)) == ("fetch-failed", ["fetch!"])
    assert "has no commit 0000" in result.detail


def test_a_server_that_is_away_is_nobodys_regression(workshop: Workshop) -> None:
    workshop.commit()
    with pytest.raises(OSError, match=r"nothing can be fetched from http://127\.0\.0\.1:1/"):
        workshop.build(git="http://127.0.0.1:1/cpython.git")


def test_a_failure_in_place_is_tried_again_from_scratch(workshop: Workshop) -> None:
    """The second commit does not compile where an object of the first one is left."""
    check = "no-old-objects:\n\ttest -e Modules/_old.c || test ! -e Modules/_old.o\n\ninstall: all"
    makefile = makefile_with({"\nall:": "\nall: no-old-objects", "install: all": check})
    workshop.commit({"Modules/_old.c": "int old;\n", "Makefile.pre.in": makefile})
    assert workshop.build().status == "proven"
    workshop.commit({"Modules/_old.c": None})
    result = workshop.build()
    assert (result.status, result.fell_back, result.clean_build) == ("proven", True, True)
    assert phases(result) == ["fetch", "compile!", *EVERYTHING[1:]]
    workshop.commit(COMPILE_FAILS)
    result = workshop.build()
    assert (result.status, result.fell_back) == ("compile-failed", True)
    assert phases(result) == ["fetch", "compile!", "configure", "compile!"]
    workshop.commit({"Modules/_broken.c": None})
    assert workshop.build().status == "proven"


def install_with(addition: str) -> dict[str, str]:
    return {"Tools/install.py": (SKELETON / "Tools" / "install.py").read_text() + addition}


NEEDS_BUILD_TREE = """
    uuid = glob.glob(sys.argv[1] + sys.argv[2] + "/lib/python3.*/uuid.py")[0]
    with open(uuid, "w") as stream:
        stream.write("open(%r).close()" % PATH)
"""


@pytest.mark.parametrize(
    "path",
    ["os.path.abspath('configure')", "sys.argv[1] + sys.argv[2] + '/bin/python3'"],
    ids=["source", "staging"],
)
def test_an_interpreter_that_needs_its_build_is_not_proven(workshop: Workshop, path: str) -> None:
    workshop.commit(install_with("    import glob\n" + NEEDS_BUILD_TREE.replace("PATH", path)))
    result = workshop.build()
    assert result.status == "prove-failed"
    assert "uuid does not import: FileNotFoundError" in result.detail
    assert (workshop.tree() / "source" / "configure").exists()
    assert (workshop.tree() / "staging").exists()


def test_an_interpreter_that_points_outside_is_not_packed(workshop: Workshop) -> None:
    workshop.commit(install_with("    os.symlink('/etc', sys.argv[1] + sys.argv[2] + '/etc')\n"))
    result = workshop.build()
    assert (result.status, phases(result)[-1]) == ("install-failed", "pack!")
    assert "etc is a link to '/etc', outside of this tree" in result.detail


def test_a_phase_has_its_limit(workshop: Workshop) -> None:
    workshop.commit({"Tools/install.py": SLEEP.format(place="../reached")})
    result = workshop.build(step_seconds=3)
    assert result.status == "install-failed"
    assert "was stopped after 3 seconds" in result.detail
    assert list(processes_in(workshop.folder)) == []


@pytest.mark.parametrize("where", ["Tools/install.py", "Lib/uuid.py"], ids=["install", "prove"])
def test_a_killed_build_does_not_harm_the_next(workshop: Workshop, where: str) -> None:
    reached = workshop.folder / "reached"
    workshop.commit()
    assert workshop.build().status == "proven"
    good = workshop.head
    workshop.commit({where: SLEEP.format(place=reached)})
    worker = workshop.start()
    wait_until(reached.exists)
    hidden = (workshop.tree() / "source.out-of-reach").exists()
    assert hidden == (where == "Lib/uuid.py")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert list((workshop.folder / "temporary").iterdir()) == []
    (workshop.tree() / ".unpacking-0" / "bin").mkdir(parents=True)
    (workshop.tree() / ("source.out-of-reach" if hidden else "source") / ".git" / "index.lock").touch()
    result = workshop.build(commit=good)
    assert (result.status, result.clean_build, result.fell_back) == ("proven", True, False)
    wait_until(lambda: list(processes_in(workshop.folder)) == [])
    assert {path.name for path in workshop.tree().iterdir()} == {
        "built.json",
        "lock",
        "packed",
        "source",
        "staging",
    }


def test_a_broken_repository_is_replaced(workshop: Workshop) -> None:
    workshop.commit()
    assert workshop.build().status == "proven"
    (workshop.tree() / "source" / ".git" / "HEAD").write_text("")
    workshop.commit({"Lib/colorsys.py": "ANSWER = 42\n"})
    result = workshop.build()
    assert (result.status, result.clean_build) == ("proven", True)
    (workshop.tree() / "source" / ".git" / "HEAD").write_text("")
    assert workshop.build(commit="0" * 40).status == "fetch-failed"
    assert (workshop.tree() / "source" / "configure").exists(), "what cannot be replaced stays"


def test_a_server_that_hands_out_branches_only(workshop: Workshop) -> None:
    """Protocol version 0 refuses a commit that no branch points to."""
    old = workshop.commit()
    workshop.commit({"Lib/colorsys.py": "ANSWER = 42\n"})
    home = workshop.folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[protocol]\nversion = 0\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        result = workshop.build(commit=old)
    assert (result.status, result.detail) == ("proven", "")


def test_two_builds_do_not_share_a_tree(workshop: Workshop) -> None:
    workshop.commit()
    with (
        claim_tree(workshop.folder / "trees", "main", "default", 0),
        pytest.raises(TreeBusyError, match="another build has held"),
        claim_tree(workshop.folder / "trees", "main", "default", 0.1),
    ):
        pass


def test_no_two_trees_have_one_folder(tmp_path: Path) -> None:
    names = ["main", "a/b", "a_b", "..", "../main", "a b", ".", "x" * 300, "x" * 301]
    homes = set()
    for name in names:
        with claim_tree(tmp_path, name, "default", 0) as tree:
            assert tree.home.is_relative_to(tmp_path)
            assert len(tree.home.relative_to(tmp_path).parts) == 2
            homes.add(tree.home)
    assert len(homes) == len(names)


def test_a_full_disk_is_nobodys_regression(workshop: Workshop) -> None:
    workshop.commit({"Tools/install.py": "raise SystemExit('write: No space left on device')\n"})
    with pytest.raises(OSError, match="No space left on device"):
        workshop.build()


def test_no_build_is_begun_on_a_full_disk(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybots_worker.interpreters.phases.FREE_BYTES_BEFORE", 1 << 60)
    workshop.commit()
    with pytest.raises(OSError, match="MB are free in"):
        workshop.build()


def test_a_disk_that_fills_up_is_nobodys_regression(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybots_worker.interpreters.machine.FREE_BYTES_AFTER", 1 << 60)
    monkeypatch.setattr("pybots_worker.interpreters.phases.FREE_BYTES_BEFORE", 1 << 60)
    monkeypatch.setattr("pybots_worker.interpreters.phases.Phases.require_place", lambda _phases: None)
    workshop.commit(COMPILE_FAILS)
    with pytest.raises(OSError, match=r"compile: .* MB are free"):
        workshop.build()


def test_a_configure_that_a_fault_deceived_is_not_built_upon(workshop: Workshop) -> None:
    """It ends well, and has found that the compiler can do nothing."""
    configure = (SKELETON / "configure").read_text()
    workshop.commit(
        {"configure": f"{configure}\necho 'cc1: out of memory allocating 8 bytes' > config.log\n"}
    )
    with pytest.raises(OSError, match="configure: cc1: out of memory allocating 8 bytes"):
        workshop.build()


def test_without_ccache_where_ccache_fails(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = workshop.folder / "programs"
    programs.mkdir()
    (programs / "ccache").write_text("#!/bin/sh\necho 'ccache: error: cannot write' >&2\nexit 1\n")
    (programs / "ccache").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    workshop.commit({"Modules/_add.c": ADD.format(answer=1)})
    result = workshop.build()
    assert (result.status, result.clean_build, result.fell_back) == ("proven", True, False)
    assert phases(result) == ["fetch", "configure", "compile!", *EVERYTHING[1:]]
