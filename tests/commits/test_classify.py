"""What commits touch.

The shares that the design names (24/8/21/47 %) cannot be checked here: they need the real history.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.commits.classify import WIDTH, Touches, classify, needs_compiler

D, T, L, N = Touches.DOCUMENTATION, Touches.TESTS, Touches.LIBRARY, Touches.NATIVE

PATHS = {
    "Doc/library/os.rst": D,
    "Doc/conf.py": D,
    "Doc/includes/custom.c": D,
    "Misc/NEWS.d/next/Library/2021-05-01-10-00-00.bpo-44015.V5936k.rst": D,
    "Misc/NEWS.d/3.13.0a1.rst": D,
    "Misc/ACKS": D,
    "Misc/README.valgrind": D,
    "Misc/python.man": D,
    "Misc/sbom.spdx.json": D,
    "README.rst": D,
    ".github/workflows/build.yml": D,
    ".github/CODEOWNERS": D,
    ".azure-pipelines/ci.yml": D,
    ".gitignore": D,
    ".travis.yml": D,
    "InternalDocs/garbage_collector.md": D,
    "Objects/dictnotes.txt": D,
    "Parser/pegen/README.md": D,
    "PCbuild/readme.txt": N,
    "Tools/README": D,
    "Lib/test/test_os.py": T,
    "Lib/test/support/__init__.py": T,
    "Lib/test/test_cext/extension.c": T,
    "Lib/test/regrtestdata/README.rst": T,
    "Lib/idlelib/idle_test/test_config.py": T,
    "Lib/unittest/test/testmock/testmock.py": T,
    "Lib/distutils/tests/test_core.py": T,
    "Tools/gdb/libpython.py": T,
    "Tools/clinic/clinic.py": T,
    "Tools/i18n/pygettext.py": T,
    "Lib/os.py": L,
    "Lib/asyncio/events.py": L,
    "Lib/idlelib/editor.py": L,
    "Lib/idlelib/README.txt": L,
    "Lib/pydoc_data/topics.py": L,
    "Lib/ensurepip/_bundled/pip-24.0-py3-none-any.whl": L,
    "Lib/unittest/case.py": L,
    "Lib/test.py": L,
    "Lib/json/tests": L,
    "Lib/doctest.py": L,
    "Lib/site-packages/README.txt": L,
    "Tools/scripts/run_tests.py": L,
    "LICENSE": L,
    "Python/ceval.c": N,
    "Objects/listobject.c": N,
    "Modules/_ssl.c": N,
    "Modules/Setup": N,
    "Modules/Setup.stdlib.in": N,
    "Modules/_testcapimodule.c": N,
    "Include/patchlevel.h": N,
    "Grammar/python.gram": N,
    "Parser/parser.c": N,
    "Programs/_testembed.c": N,
    "PC/pyconfig.h": N,
    "PCbuild/python.props": N,
    "Mac/BuildScript/build-installer.py": N,
    "Android/android.py": N,
    "Tools/build/freeze_modules.py": N,
    "Tools/peg_generator/pegen/build.py": N,
    "Tools/cases_generator/generate_cases.py": N,
    "Tools/freeze/freeze.py": N,
    "Tools/jit/template.c": N,
    "Tools/msi/lib/lib.wixproj": N,
    "Tools/new-tool": N,
    "Misc/python-config.sh.in": N,
    "Misc/platform_triplet.c": N,
    "Misc/stable_abi.toml": N,
    "configure": N,
    "configure.ac": N,
    "Makefile.pre.in": N,
    "pyconfig.h.in": N,
    "setup.py": N,
    "aclocal.m4": N,
    ".gitattributes": N,
    "Doc": N,
    "Lib": N,
    "Something/new.txt": N,
    "": N,
}


@pytest.mark.parametrize(("path", "touches"), PATHS.items())
def test_one_path(path: str, touches: Touches) -> None:
    assert classify([path]) is touches


def test_nothing_changed_is_documentation() -> None:
    assert classify([]) is D
    assert not needs_compiler([])


@pytest.mark.parametrize(
    ("paths", "touches"),
    [
        (["Doc/library/os.rst", "Lib/test/test_os.py"], T),
        (["Lib/os.py", "Lib/test/test_os.py", "Misc/NEWS.d/next/Library/x.rst"], L),
        (["Python/ceval.c", "Lib/dis.py", "Doc/library/dis.rst"], N),
        (["Misc/ACKS", "Doc/whatsnew/3.15.rst"], D),
    ],
)
def test_the_widest_wins(paths: list[str], touches: Touches) -> None:
    assert classify(paths) is touches
    assert classify(paths[::-1]) is touches


@pytest.mark.parametrize(
    ("path", "compiler"),
    [
        ("Lib/os.py", True),
        ("Lib/importlib/_bootstrap.py", True),
        ("Lib/importlib/util.py", True),
        ("Lib/zipimport.py", True),
        ("Lib/__phello__/ham/eggs.py", True),
        ("Python/ceval.c", True),
        ("configure", True),
        ("Lib/asyncio/events.py", False),
        ("Lib/encodings/utf_8.py", False),
        ("Lib/test/os.py", False),
        ("Doc/library/os.rst", False),
        ("Tools/scripts/idle3", False),
    ],
)
def test_frozen_modules_need_the_compiler(path: str, compiler: bool) -> None:
    assert needs_compiler(["Doc/a.rst", path]) is compiler


@given(st.lists(st.text() | st.sampled_from(sorted(PATHS))), st.text())
def test_any_paths_have_an_answer_and_more_paths_never_a_narrower_one(paths: list[str], more: str) -> None:
    assert WIDTH.index(classify([*paths, more])) >= WIDTH.index(classify(paths))
    assert not needs_compiler(paths) or needs_compiler([*paths, more])
