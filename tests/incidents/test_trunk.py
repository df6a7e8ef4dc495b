"""Whose fault it is that an interpreter was not made."""

from __future__ import annotations

import pytest

from pybots.incidents.trunk import BuildAgain, Failed, Judged, Said, Tried, Try, judge, same_trouble
from pybots.runs.status import Role

FAILED = Failed("compile-failed", "w-1", others=["w-2"])
AGAIN, CONTROL = Role.CONFIRMATION, Role.CONTROL


@pytest.mark.parametrize(
    ("tried", "wanted"),
    [
        ([], Try(AGAIN)),
        ([Tried(AGAIN, "compile-failed")], Try(CONTROL)),
        ([Tried(AGAIN, "prove-failed")], Try(CONTROL)),
    ],
)
def test_the_commit_is_built_again_and_then_the_last_good_one(tried: list[Tried], wanted: Try) -> None:
    assert judge(FAILED, tried) == wanted


def test_it_is_the_commits_where_the_last_good_one_is_made() -> None:
    said = judge(FAILED, [Tried(AGAIN, "compile-failed"), Tried(CONTROL, "proven")])
    assert isinstance(said, Judged)
    assert said.said is Said.COMMIT
    assert not said.fault


def test_it_is_the_workers_where_both_fail() -> None:
    tried = [Tried(AGAIN, "compile-failed"), Tried(CONTROL, "configure-failed", "no compiler")]
    said = judge(FAILED, tried)
    assert isinstance(said, BuildAgain)
    assert said.elsewhere
    assert "no compiler" in said.fault
    alone = judge(Failed("compile-failed", "w-1"), tried)
    assert isinstance(alone, Judged)
    assert alone.said is Said.NOTHING
    assert "no compiler" in alone.fault


@pytest.mark.parametrize(
    ("tried", "elsewhere"),
    [
        ([Tried(AGAIN, "proven")], False),
        ([Tried(AGAIN, "worker-lost")], True),
        ([Tried(AGAIN, "farm-error")], True),
        ([Tried(AGAIN, "compile-failed"), Tried(CONTROL, "worker-unfit")], True),
    ],
)
def test_what_was_not_seen_twice_is_built_again(tried: list[Tried], elsewhere: bool) -> None:
    said = judge(FAILED, tried)
    assert isinstance(said, BuildAgain)
    assert (said.elsewhere, said.fault) == (elsewhere, "")


@pytest.mark.parametrize(
    "failed",
    [
        Failed("fetch-failed", "w-1"),
        Failed("worker-unfit", "w-1"),
        Failed("farm-error", "w-1"),
        Failed("compile-failed", "w-1", has_good=False),
        Failed("compile-failed", "w-1", confirmations=3),
    ],
)
def test_nothing_is_said_where_nothing_can_be(failed: Failed) -> None:
    said = judge(failed, [])
    assert isinstance(said, Judged)
    assert said.said is Said.NOTHING
    assert said.reason


@pytest.mark.parametrize(
    ("status", "tail", "same"),
    [
        ("compile-failed", "Modules/a.c:9:1: error: expected ';' before 'x'", True),
        ("compile-failed", "Modules/b.c:1:1: error: unknown type name 'y'", False),
        ("compile-failed", "make: nothing that tells", True),
        ("install-failed", "Modules/a.c:4:1: error: expected ';' before 'x'", False),
    ],
)
def test_one_trouble(status: str, tail: str, same: bool) -> None:
    first = "gcc -c\nModules/a.c:4:1: error: expected ';' before 'x'\nmake: *** [all] Error 1"
    assert same_trouble("compile-failed", first, status, tail) is same
