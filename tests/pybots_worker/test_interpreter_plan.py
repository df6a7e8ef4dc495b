from __future__ import annotations

from dataclasses import replace

import pytest

from pybots_worker.interpreters.plan import Built, Plan, Seen, Wanted, plan_build

LAST = Built(Wanted("a" * 40, ("--prefix=/opt/x",), "gcc 12"), saved=100.0)
NEXT = Wanted("b" * 40, ("--prefix=/opt/x",), "gcc 12")
SEEN = Seen(changed=("Lib/os.py",), before=100.0, after=103.0, youngest=103.0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], Plan.IN_PLACE),
        (["Lib/os.py", "Python/ceval.c", "Include/object.h"], Plan.IN_PLACE),
        (["Doc/conf.in.py", "Lib/configure.py", "Lib/test/configure_helper"], Plan.IN_PLACE),
        (["configure"], Plan.CLEAN),
        (["configure.ac", "Lib/os.py"], Plan.CLEAN),
        (["Makefile.pre.in"], Plan.CLEAN),
        (["pyconfig.h.in"], Plan.CLEAN),
        (["Misc/python.pc.in"], Plan.CLEAN),
        (["Modules/Setup.stdlib.in"], Plan.CLEAN),
        (["Modules/Setup"], Plan.CLEAN),
        (["Modules/Setup.bootstrap"], Plan.CLEAN),
        (["Modules/makesetup"], Plan.CLEAN),
        (None, Plan.CLEAN),
    ],
)
def test_what_changed_decides(changed: list[str] | None, expected: Plan) -> None:
    seen = replace(SEEN, changed=None if changed is None else tuple(changed))
    assert plan_build(LAST, NEXT, seen) == expected


@pytest.mark.parametrize(
    "last",
    [
        None,
        replace(LAST, wanted=replace(LAST.wanted, compiler="gcc 13")),
        replace(LAST, wanted=replace(LAST.wanted, configure=("--prefix=/opt/x", "--with-pydebug"))),
    ],
)
def test_a_build_made_otherwise_is_not_built_upon(last: Built | None) -> None:
    assert plan_build(last, NEXT, SEEN) == Plan.CLEAN


@pytest.mark.parametrize(
    "seen",
    [
        Seen((), before=99.0, after=103.0, youngest=99.5),  # set back since the last build
        Seen((), before=101.0, after=50.0, youngest=50.0),  # while the commit was fetched
        Seen((), before=101.0, after=103.0, youngest=104.0),  # and a file is from the future
    ],
)
def test_dates_are_not_trusted_where_the_clock_was_set_back(seen: Seen) -> None:
    assert plan_build(LAST, NEXT, seen) == Plan.CLEAN
