from __future__ import annotations

import pytest

from pybots_worker.interpreters.plan import CLEAN, Built, Plan, plan_build

LAST = Built("a" * 40, ("--prefix=/opt/x",), "gcc 12")
NEXT = Built("b" * 40, ("--prefix=/opt/x",), "gcc 12")
COMPILE_ONLY = Plan(clean=False, configure=False)
CONFIGURE = Plan(clean=False, configure=True)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], COMPILE_ONLY),
        (["Lib/os.py", "Python/ceval.c", "Include/object.h"], COMPILE_ONLY),
        (["Doc/conf.in.py", "Lib/configure.py", "Lib/test/configure_helper"], COMPILE_ONLY),
        (["configure"], CONFIGURE),
        (["configure.ac", "Lib/os.py"], CONFIGURE),
        (["Makefile.pre.in"], CONFIGURE),
        (["pyconfig.h.in"], CONFIGURE),
        (["Misc/python.pc.in"], CONFIGURE),
        (["Modules/Setup.stdlib.in"], CONFIGURE),
        (["Modules/Setup"], CONFIGURE),
        (["Modules/Setup.bootstrap"], CONFIGURE),
        (["Modules/makesetup"], CONFIGURE),
        (None, CLEAN),
    ],
)
def test_what_changed_decides(changed: list[str] | None, expected: Plan) -> None:
    assert plan_build(LAST, NEXT, changed) == expected


@pytest.mark.parametrize(
    "last",
    [
        None,
        Built(LAST.commit, LAST.configure, "gcc 13"),
        Built(LAST.commit, ("--prefix=/opt/x", "--with-pydebug"), LAST.compiler),
    ],
)
def test_a_build_made_otherwise_is_not_built_upon(last: Built | None) -> None:
    assert plan_build(last, NEXT, []) == CLEAN
