from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.interpreters.library import Fate, Layout, fate_of, read_layout
from pybots_worker.interpreters.plan import Built, Changed, Plan, Seen, Wanted, Way, plan_build

MAKEFILE = """\
FROZEN_FILES_IN = \\
\t\tLib/os.py \\
\t\tLib/importlib/util.py
XMLLIBSUBDIRS=  xml xml/dom
LIBSUBDIRS=\tasyncio \\
\t\tencodings \\
\t\tidlelib idlelib/Icons \\
\t\tvenv/scripts/posix \\
\t\t$(XMLLIBSUBDIRS) \\
\t\timportlib
TESTSUBDIRS=\tidlelib/idle_test \\
\t\ttest \\
\t\ttest/support
TEST_MODULES=\tyes
regen-token:
\t$(srcdir)/Lib/token.py $(srcdir)/Lib/*.py Lib/$$d Lib/test/test_gdb.py
"""
LAYOUT = read_layout(MAKEFILE)
assert LAYOUT is not None
LAST = Built(Wanted("a" * 40, ("--prefix=/opt/x",), "gcc 12"), saved=100.0, artifact="d" * 64)
NEXT = Wanted("b" * 40, ("--prefix=/opt/x",), "gcc 12")
SEEN = Seen(
    changed=(Changed("Lib/heapq.py"),),
    before=100.0,
    after=103.0,
    youngest=103.0,
    layout=LAYOUT,
    installed="d" * 64,
)


def planned(*paths: str, mode: str = "100644") -> Plan:
    return plan_build(LAST, NEXT, replace(SEEN, changed=tuple(Changed(path, mode) for path in paths)))


def test_what_a_makefile_says_of_the_library() -> None:
    assert (
        Layout(
            folders=frozenset(
                {
                    *("asyncio", "encodings", "idlelib", "idlelib/Icons", "venv/scripts/posix"),
                    *("xml", "xml/dom", "importlib"),
                }
            ),
            test_folders=frozenset({"idlelib/idle_test", "test", "test/support"}),
            tests_kept=True,
            named=frozenset({"os.py", "importlib/util.py", "token.py"}),
        )
        == LAYOUT
    )
    assert read_layout("all:\n\ttrue\n") is None


@pytest.mark.parametrize(
    ("path", "fate"),
    [
        ("heapq.py", Fate.INSTALLED),
        ("new_module.py", Fate.INSTALLED),
        (".hidden.py", Fate.LEFT_OUT),
        ("heapq.txt", Fate.LEFT_OUT),
        ("asyncio/tasks.py", Fate.INSTALLED),
        ("asyncio/py.typed", Fate.INSTALLED),
        ("asyncio/tasks.py.orig", Fate.LEFT_OUT),
        ("asyncio/.gitignore", Fate.LEFT_OUT),
        ("asyncio/new/__init__.py", Fate.IN_PLACE),
        ("newpackage/__init__.py", Fate.IN_PLACE),
        ("xml/dom/minidom.py", Fate.INSTALLED),
        ("venv/scripts/posix/activate.csh", Fate.INSTALLED),
        ("importlib/abc.py", Fate.INSTALLED),
        ("importlib/util.py", Fate.IN_PLACE),
        ("os.py", Fate.IN_PLACE),
        ("token.py", Fate.IN_PLACE),
        ("test/test_os.py", Fate.LEFT_OUT),
        ("test/test_gdb.py", Fate.LEFT_OUT),
        ("test/__init__.py", Fate.INSTALLED),
        ("test/support/os_helper.py", Fate.INSTALLED),
        ("test/support/interpreters/queues.py", Fate.LEFT_OUT),
        ("idlelib/idle_test/test_run.py", Fate.LEFT_OUT),
        ("idlelib/Icons/idle.ico", Fate.INSTALLED),
        ("ensurepip/_bundled/pip-26-py3-none-any.whl", Fate.IN_PLACE),
        ("ensurepip/__init__.py", Fate.IN_PLACE),
        ("csv.py", Fate.IN_PLACE),
        ("sysconfig/__init__.py", Fate.CLEAN),
        ("pprint.py", Fate.CLEAN),
    ],
)
def test_what_becomes_of_a_file_of_the_library(path: str, fate: Fate) -> None:
    assert LAYOUT is not None
    assert fate_of(path, LAYOUT)[0] is fate


def test_without_tests_none_are_installed() -> None:
    layout = read_layout(MAKEFILE.replace("TEST_MODULES=\tyes", "TEST_MODULES=\tno"))
    assert layout is not None
    assert fate_of("test/support/os_helper.py", layout)[0] is Fate.LEFT_OUT
    assert fate_of("test/__init__.py", layout)[0] is Fate.LEFT_OUT


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], Way.NOTHING),
        (["Doc/library/os.rst", "Misc/NEWS.d/next/Library/x.rst", "Lib/test/test_os.py"], Way.NOTHING),
        (["Lib/heapq.py", "Misc/NEWS.d/next/Library/x.rst", "Lib/test/test_os.py"], Way.REPLACE),
        (["Lib/os.py"], Way.IN_PLACE),
        (["Lib/heapq.py", "Python/ceval.c", "Include/object.h"], Way.IN_PLACE),
        (["LICENSE"], Way.IN_PLACE),
        ([".gitattributes"], Way.IN_PLACE),
        (["Tools/scripts/idle3"], Way.IN_PLACE),
        (["Doc/conf.in.py", "Lib/configure.py", "Lib/test/configure_helper"], Way.REPLACE),
        (["configure"], Way.CLEAN),
        (["configure.ac", "Lib/os.py"], Way.CLEAN),
        (["Makefile.pre.in"], Way.CLEAN),
        (["pyconfig.h.in"], Way.CLEAN),
        (["Misc/python.pc.in"], Way.CLEAN),
        (["Modules/Setup.stdlib.in"], Way.CLEAN),
        (["Modules/Setup"], Way.CLEAN),
        (["Modules/Setup.bootstrap"], Way.CLEAN),
        (["Modules/makesetup"], Way.CLEAN),
        (["Lib/sysconfig/__init__.py", "Python/ceval.c"], Way.CLEAN),
    ],
)
def test_what_changed_decides(changed: list[str], expected: Way) -> None:
    assert planned(*changed).way is expected


def test_what_is_replaced() -> None:
    plan = planned("Lib/heapq.py", "Doc/a.rst", "Lib/asyncio/tasks.py", "Lib/test/test_os.py")
    assert plan.files == (Changed("heapq.py"), Changed("asyncio/tasks.py"))
    assert planned("Lib/heapq.py", mode="").files == (Changed("heapq.py", ""),)


@pytest.mark.parametrize(
    ("path", "mode", "expected"),
    [
        ("Lib/heapq.py", "100755", Way.REPLACE),
        ("Lib/heapq.py", "120000", Way.IN_PLACE),
        ("Lib/asyncio/sub", "160000", Way.IN_PLACE),
        ("Lib/heapq.py", "", Way.REPLACE),
        ("Lib/encodings/rot_13.py", "100644", Way.REPLACE),
        ("Lib/encodings/rot_13.py", "", Way.IN_PLACE),
    ],
)
def test_what_git_says_it_is_now(path: str, mode: str, expected: Way) -> None:
    assert planned(path, mode=mode).way is expected


@pytest.mark.parametrize(
    "seen",
    [
        replace(SEEN, installed=""),
        replace(SEEN, installed="e" * 64),
        replace(SEEN, layout=None),
    ],
    ids=["gone", "written to", "another Makefile"],
)
def test_what_is_not_known_is_not_replaced(seen: Seen) -> None:
    assert plan_build(LAST, NEXT, seen).way is Way.IN_PLACE


def test_a_build_whose_result_is_unknown_is_installed_again() -> None:
    assert plan_build(replace(LAST, artifact=""), NEXT, replace(SEEN, installed="")).way is Way.IN_PLACE


@pytest.mark.parametrize(
    "last",
    [
        None,
        replace(LAST, wanted=replace(LAST.wanted, compiler="gcc 13")),
        replace(LAST, wanted=replace(LAST.wanted, configure=("--prefix=/opt/x", "--with-pydebug"))),
        replace(LAST, wanted=replace(LAST.wanted, method="an earlier Pybots")),
    ],
)
def test_a_build_made_otherwise_is_not_built_upon(last: Built | None) -> None:
    assert plan_build(last, NEXT, SEEN).way is Way.CLEAN


@pytest.mark.parametrize(
    "dates",
    [
        {"before": 99.0, "after": 103.0, "youngest": 99.5},  # set back since the last build
        {"before": 101.0, "after": 50.0, "youngest": 50.0},  # while the commit was fetched
        {"before": 101.0, "after": 103.0, "youngest": 104.0},  # and a file is from the future
    ],
)
def test_dates_are_not_trusted_where_the_clock_was_set_back(dates: dict[str, float]) -> None:
    assert plan_build(LAST, NEXT, replace(SEEN, **dates)).way is Way.CLEAN  # type: ignore[arg-type]


def test_what_differs_is_not_known() -> None:
    assert plan_build(LAST, NEXT, replace(SEEN, changed=None)).way is Way.CLEAN


PARTS = st.sampled_from(
    [
        "Lib",
        "Doc",
        "test",
        "support",
        "encodings",
        "asyncio",
        "os.py",
        "x.py",
        "x.in",
        "",
        "..",
        "é\udcff",
        "~",
    ]
)
CHANGES = st.builds(
    Changed,
    st.one_of(st.lists(PARTS, max_size=4).map("/".join), st.text(max_size=20)),
    st.sampled_from(["", "100644", "100755", "120000", "160000"]),
)


@given(
    st.none() | st.lists(CHANGES, max_size=4).map(tuple),
    st.sampled_from([LAYOUT, None]),
    st.sampled_from(["", "d" * 64]),
)
def test_every_change_has_a_plan(
    changed: tuple[Changed, ...] | None, layout: Layout | None, installed: str
) -> None:
    plan = plan_build(LAST, NEXT, replace(SEEN, changed=changed, layout=layout, installed=installed))
    assert plan.reason
    assert (plan.way is Way.REPLACE) == bool(plan.files)
    if plan.files:
        assert changed is not None
        assert {f"Lib/{file.path}" for file in plan.files} <= {one.path for one in changed}


@given(st.text(max_size=400))
def test_every_makefile_is_read(text: str) -> None:
    read_layout(text)
    read_layout(f"LIBSUBDIRS= {text}")
